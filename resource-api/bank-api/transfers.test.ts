import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { newAccountId } from '@bankside/bank/ids'
import { endLimit, setLimit } from '@bankside/bank/limits/set-limit'
import { sql, transact, z } from '@bankside/service-kit/postgres'
import { assertOwn } from '../testing/own-definition.ts'
import type { Answer } from '../testing/test-client.ts'
import { type Person, startTestWorld, type TestWorld } from '../testing/test-world.ts'

const api = '/api/v1'
const path = `${api}/transactions/transfer`
let world: TestWorld
let ordinary: string

before(async () => {
  world = await startTestWorld()
  ordinary = await world.appToken(world.ada)
})
after(() => world.close())

const account = (person: Person, index = 0) => person.accounts[index]?.id ?? ('' as never)
const transfer = (over: object = {}) => ({
  source_account_id: account(world.ada),
  destination_account_id: account(world.ben),
  amount_cents: 1_234,
  currency: 'GBP',
  description: 'Lunch',
  ...over,
})
const key = (value: string = randomUUID()) => ({ 'idempotency-key': value })
const post = (token: string, body: unknown = transfer(), headers: Record<string, string | undefined> = key()) =>
  world.app.send('POST', path, { token, body, headers })
const authorised = (over: { amount?: string; to?: string; from?: `acc_${string}`; words?: string } = {}) =>
  world.authoriseTransfer(world.ada, { from: account(world.ada), to: account(world.ben), amount: '12.34', words: 'Lunch', ...over })
const problem = ({ status, body }: Answer) => [status, body.code]
const funds = z.object({ posted_minor: z.bigint(), held_minor: z.bigint() })
const balance = (person: Person) =>
  world.owner.one(sql.type(funds)`select posted_minor, held_minor from ledger.account where account_id = ${account(person)}`)

test('STEP-01 NAT-S4 NAT-05 without an authorization for it: 401 that says what to do', async () => {
  const answer = await post(ordinary)
  assert.deepEqual(problem(answer), [401, 'insufficient_user_authentication'])
  assert.match(
    String(answer.headers['www-authenticate']),
    /^DPoP error="insufficient_user_authentication", acr_values="urn:openbanking:psd2:sca", max_age="300", algs=/,
  )
})

const bad: [label: string, over: object | (() => object), status: number, pointer: string][] = [
  ['nothing', { amount_cents: 0 }, 400, '/amount_cents'],
  ['below nothing', { amount_cents: -1 }, 400, '/amount_cents'],
  ['a fraction', { amount_cents: 1.5 }, 400, '/amount_cents'],
  ['text', { amount_cents: '100' }, 400, '/amount_cents'],
  ['null', { amount_cents: null }, 400, '/amount_cents'],
  ['a list', { amount_cents: [1] }, 400, '/amount_cents'],
  ['2^53', { amount_cents: 2 ** 53 }, 400, '/amount_cents'],
  ['missing', { amount_cents: undefined }, 400, '/amount_cents'],
  ['an unknown member', { fee: 1 }, 400, '/fee'],
  ['a source that is a number', { source_account_id: 7 }, 400, '/source_account_id'],
  ['no destination', { destination_account_id: undefined }, 400, '/destination_account_id'],
  ['a destination that is no id', { destination_account_id: 'ben' }, 400, '/destination_account_id'],
  ['no description', { description: undefined }, 400, '/description'],
  ['a description that is too long', { description: 'x'.repeat(141) }, 400, '/description'],
  ['a description that nobody can see', { description: '\u202e\u200b' }, 400, '/description'],
  ['an unknown currency', { currency: 'XYZ' }, 422, '/currency'],
  ['a currency named after what every object has', { currency: 'constructor' }, 422, '/currency'],
  ['the same account', () => ({ destination_account_id: account(world.ada) }), 422, '/destination_account_id'],
]
for (const [label, over, status, pointer] of bad)
  test(`NAT-S3 ${pointer}: ${label} is ${status}, before anyone is sent through a step-up and after`, async () => {
    const body = transfer(typeof over === 'function' ? over() : over)
    for (const token of [ordinary, await authorised()]) {
      const answer = await post(token, body)
      assert.equal(answer.status, status, answer.text)
      assert.equal(answer.body.errors[0].pointer, pointer)
    }
  })

test('NAT-S3 1e400, NaN and what is no object are 400', async () => {
  for (const raw of [
    JSON.stringify(transfer()).replace('1234', '1e400'),
    JSON.stringify(transfer()).replace('1234', 'NaN'),
    '[]',
    'null',
    '7',
    '"x"',
  ]) {
    const answer = await world.app.send('POST', path, { token: ordinary, raw, headers: key() })
    assert.deepEqual(problem(answer), [400, 'validation_error'], raw)
  }
})

test('NAT-S2 NAT-S3 a source of somebody else, unknown or malformed is 404', async () => {
  const token = await authorised()
  for (const id of [account(world.ben), newAccountId(), 'acc_1'])
    assert.deepEqual(problem(await post(token, transfer({ source_account_id: id }))), [404, 'not_found'], id)
})

test('NAT-A5 the idempotency key is required, under either name, once', async () => {
  const token = await authorised()
  assert.deepEqual(problem(await post(token, transfer(), {})), [400, 'validation_error'])
  assert.deepEqual((await post(token, transfer(), {})).body.errors, [{ header: 'idempotency-key', detail: 'required here' }])
  assert.equal((await post(token, transfer(), { 'idempotency-key': 'a', 'x-idempotency-key': 'b' })).status, 400)
  assert.equal((await post(token, transfer(), { 'idempotency-key': 'x'.repeat(41) })).status, 400)
  assert.equal((await post(token, transfer(), { 'x-idempotency-key': randomUUID() })).status, 202)
})

test('NAT-05 NAT-06 NAT-S5 NAT-S6 where it waits for its checks the funds are set aside, then both see it completed', async () => {
  await world.straightThrough(false)
  await world.finishPayments()
  const before = { ada: await balance(world.ada), ben: await balance(world.ben) }
  const answer = await post(await authorised())
  assert.equal(answer.status, 202, answer.text)
  const { transaction_id, transaction_ref, ...rest } = answer.body
  assert.deepEqual(rest, { status: 'PENDING', amount_cents: 1_234 })
  assert.ok(transaction_ref.length <= 35)
  assert.equal(answer.headers['location'], `/api/v1/transactions/${transaction_id}`)
  assert.equal((await balance(world.ada)).held_minor, before.ada.held_minor + 1_234n)

  const read = async (person: Person) =>
    world.app.send('GET', `${api}/transactions/${transaction_id}`, { token: await world.appToken(person) })
  assert.deepEqual([(await read(world.ada)).body.status, (await read(world.ben)).status], ['PENDING', 404])
  await world.finishPayments()
  const [payer, payee] = [await read(world.ada), await read(world.ben)]
  assert.deepEqual([payer.body.status, payer.body.direction, payer.body.source_account_id], ['COMPLETED', 'debit', account(world.ada)])
  assert.deepEqual(
    [payee.body.status, payee.body.direction, payee.body.destination_account_id, payee.body.source_account_id],
    ['COMPLETED', 'credit', account(world.ben), undefined],
  )
  assert.equal((await balance(world.ben)).posted_minor, before.ben.posted_minor + 1_234n)

  // NAT-A8: in both statements as well.
  for (const [person, cents] of [
    [world.ada, -1_234],
    [world.ben, 1_234],
  ] as const) {
    const { body } = await world.app.send('GET', `${api}/accounts/${account(person)}/transactions?limit=1`, {
      token: await world.appToken(person),
    })
    assert.equal(body.transactions[0].amount_cents, cents)
  }
  await world.straightThrough(true)
})

test('NAT-S6 a payment that is not mine, unknown or malformed is 404', async () => {
  const { transaction_id } = (
    await post(await authorised({ to: account(world.ada, 1) }), transfer({ destination_account_id: account(world.ada, 1) }))
  ).body
  assert.match(transaction_id, /^pay_/)
  const ben = await world.appToken(world.ben)
  for (const id of [transaction_id, `pay_${'0'.repeat(32)}`, 'pay_1', 'x'])
    assert.deepEqual(problem(await world.app.send('GET', `${api}/transactions/${id}`, { token: ben })), [404, 'not_found'], id)
})

test('NAT-S4 the authorization is for this amount, payee, source and wording, and for one transfer', async () => {
  const token = await authorised()
  const others = [
    { amount_cents: 1_235 },
    { destination_account_id: account(world.ada, 1) },
    { source_account_id: account(world.ada, 1) },
    { currency: 'EUR' },
    { description: 'Dinner' },
  ]
  for (const over of others)
    assert.deepEqual(problem(await post(token, transfer(over))), [403, 'authorization_mismatch'], JSON.stringify(over))
  assert.equal((await post(token)).status, 202)
  assert.deepEqual(problem(await post(token)), [403, 'consent_inactive'])
})

test('NAT-S3 NAT-A6 without funds it is 422, recorded, and the same for a repeat', async () => {
  const token = await authorised({ amount: '24000.00' })
  const [body, headers] = [transfer({ amount_cents: 2_400_000 }), key()]
  for (const answer of [await post(token, body, headers), await post(token, body, headers)])
    assert.deepEqual(problem(answer), [422, 'insufficient_funds'])
  assert.equal(
    await world.owner.oneFirst(sql.unsafe`select count(*) from payments.payment where amount_minor = 2400000 and status = 'rejected'`),
    1n,
  )
})

test('NAT-S3 NAT-A6 over a limit it is 422, recorded, and the same for a repeat; nothing is said of how much', async () => {
  const limit = { scope: 'account', subjectId: account(world.ada), channel: undefined, period: 'day', soft: false } as const
  const setting = { ...limit, setBy: 'bank', most: { minor: 0n, currency: 'GBP' }, actor: 'operator', now: new Date() } as const
  const limitId = await transact(world.owner, (tx) => setLimit(tx, setting))
  const [token, headers] = [await authorised(), key()]
  for (let repeat = 0; repeat < 2; repeat++) {
    const answer = await post(token, transfer(), headers)
    assert.deepEqual(
      [...problem(answer), answer.body.detail],
      [422, 'limit_exceeded', 'more than may be paid from the account in this time'],
    )
  }
  await transact(world.owner, (tx) => endLimit(tx, { limitId, setBy: 'bank', actor: 'operator', now: new Date() }))
  assert.deepEqual(problem(await post(await authorised())), [202, undefined])
})

test('NAT-A5 NAT-S5 fifty at once with one key make one transfer; a repeat finds it as it is now; another body is 409', async () => {
  const token = await authorised({ amount: '1.11' })
  const [body, headers] = [transfer({ amount_cents: 111 }), key()]
  const answers = await Promise.all(Array.from({ length: 50 }, () => post(token, body, headers)))
  const made = new Set(answers.filter(({ status }) => status === 202).map((answer) => answer.body.transaction_id))
  assert.equal(made.size, 1)
  for (const answer of answers.filter(({ status }) => status !== 202)) assert.deepEqual(problem(answer), [409, 'idempotency_in_progress'])
  assert.equal(await world.owner.oneFirst(sql.unsafe`select count(*) from payments.payment where amount_minor = 111`), 1n)
  await world.finishPayments()
  assert.deepEqual([(await post(token, body, headers)).body.status, [...made][0]], ['COMPLETED', [...made][0]])
  assert.deepEqual(problem(await post(token, transfer({ amount_cents: 112 }), headers)), [409, 'idempotency_conflict'])
})

test('NAT-05 NAT-06 NAT-S5 what nothing waits for is answered when it is done: PENDING at first, and both see it completed', async () => {
  const before = { ada: await balance(world.ada), ben: await balance(world.ben) }
  const answer = await post(await authorised())
  assert.deepEqual([answer.status, answer.body.status], [202, 'PENDING'], answer.text)
  assert.deepEqual(
    [await balance(world.ada), await balance(world.ben)],
    [
      { ...before.ada, posted_minor: before.ada.posted_minor - 1_234n },
      { ...before.ben, posted_minor: before.ben.posted_minor + 1_234n },
    ],
  )
  for (const person of [world.ada, world.ben]) {
    const read = await world.app.send('GET', `${api}/transactions/${answer.body.transaction_id}`, { token: await world.appToken(person) })
    assert.equal(read.body.status, 'COMPLETED')
  }
})

test('STEP-01 a token for a transfer that was not strongly authenticated is sent back', async () => {
  const strongToken = await authorised()
  const { grant_id, consent_id } = JSON.parse(Buffer.from(strongToken.split('.')[1] ?? '', 'base64url').toString())
  const weak = await world.tokenFor(world.app, {
    scope: 'payments:write',
    audience: 'https://rs.bankside.test/api/v1',
    grantId: grant_id,
    consentId: consent_id,
    acr: 'urn:openbanking:psd2:ca',
  })
  assert.deepEqual(problem(await post(weak)), [401, 'insufficient_user_authentication'])
})

test('NAT-A10 every answer of this file is one that our own document allows, and none logs what was paid', () => {
  for (const answered of world.answers) assertOwn(answered)
  assert.doesNotMatch(world.lines.join(''), /Lunch|Ben Nevis|eyJ/)
})
