import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { sql } from '@bankside/service-kit/postgres'
import { assertOwn } from '../testing/own-definition.ts'
import type { Answer } from '../testing/test-client.ts'
import { type Person, startTestWorld, type TestWorld } from '../testing/test-world.ts'

const path = '/api/v1/beneficiaries'
let world: TestWorld
let token: string

before(async () => {
  world = await startTestWorld()
  token = await world.appToken(world.ada)
})
after(() => world.close())

let accounts = 20_000_000
const beneficiary = (over: object = {}) => ({
  name: 'Chloé Wine & Co',
  sort_code: '200000',
  account_number: String(++accounts),
  reference: 'INV 1',
  ...over,
})
const post = (
  body: unknown,
  { as = token, headers = { 'idempotency-key': randomUUID() } }: { as?: string; headers?: Record<string, string> } = {},
) => world.app.send('POST', path, { token: as, body, headers })
const list = async (as = token) => (await world.app.send('GET', path, { token: as })).body.beneficiaries
const problem = ({ status, body }: Answer) => [status, body.code]

test('NAT-S7 STEP-01 adding one needs a strong and fresh authentication', async () => {
  const old = await world.appToken(world.ada, { authTime: Math.floor(Date.now() / 1000) - 301 })
  const weak = await world.appToken(world.ada, { acr: 'urn:openbanking:psd2:ca' })
  for (const as of [old, weak]) {
    const answer = await post(beneficiary(), { as })
    assert.deepEqual(problem(answer), [401, 'insufficient_user_authentication'])
    assert.match(String(answer.headers['www-authenticate']), /acr_values="urn:openbanking:psd2:sca", max_age="300"/)
  }
})

const bad: [label: string, body: unknown, ...pointers: string[]][] = [
  ['nothing', {}, '/name'],
  ['no account', { name: 'A' }, '/sort_code'],
  ['no account number', { name: 'A', sort_code: '040404' }, '/account_number'],
  ['both ways to name an account', beneficiary({ iban: 'GB29NWBK60161331926819' }), '/iban'],
  ['an IBAN that fails mod 97', { name: 'A', iban: 'GB29NWBK60161331926818' }, '/iban'],
  ['five digits', beneficiary({ sort_code: '04040' }), '/sort_code'],
  ['letters', beneficiary({ account_number: '1234567x' }), '/account_number'],
  ['a number', beneficiary({ account_number: 12345678 }), '/account_number'],
  ['an empty name', beneficiary({ name: ' ' }), '/name'],
  ['a name that is too long', beneficiary({ name: 'x'.repeat(141) }), '/name'],
  ['a name that reads backwards', beneficiary({ name: 'A\u202eB' }), '/name'],
  ['a reference that is too long', beneficiary({ reference: 'x'.repeat(36) }), '/reference'],
  ['an unknown member', beneficiary({ trusted: true }), '/trusted'],
  ['three faults', beneficiary({ name: '', sort_code: 'x', extra: 1 }), '/extra', '/name', '/sort_code'],
]
for (const [label, body, ...pointers] of bad)
  test(`NAT-07 ${label} is 400`, async () => {
    const answer = await post(body)
    assert.deepEqual(problem(answer), [400, 'validation_error'])
    assert.deepEqual(answer.body.errors.map(({ pointer }: { pointer: string }) => pointer).toSorted(), pointers)
  })

test('NAT-07 NAT-08 one is added, listed, and seen by nobody else', async () => {
  const sent = beneficiary()
  const added = await post(sent)
  assert.equal(added.status, 201, added.text)
  const { id, created_at, ...rest } = added.body
  assert.match(id, /^ben_[0-9a-f]{32}$/)
  assert.ok(created_at)
  assert.deepEqual(rest, { ...sent, name_check: 'not_checked' })
  const international = await post({ name: 'Dora', iban: 'GB29 NWBK 6016 1331 9268 19' })
  assert.deepEqual([international.status, international.body.iban], [201, 'GB29NWBK60161331926819'])
  assert.deepEqual(new Set((await list()).map((one: { id: string }) => one.id)), new Set([id, international.body.id]))
  assert.deepEqual(await list(await world.appToken(world.ben)), [])
})

test('NAT-S7 the same account twice is 409, also when two are sent at once', async () => {
  const body = beneficiary()
  const answers = await Promise.all([post(body), post(body), post(body)])
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [201, 409, 409])
  assert.deepEqual(problem(await post({ ...body, name: 'Somebody else' })), [409, 'beneficiary_exists'])
})

const of = (person: Person) => ({ sort_code: person.accounts[0]?.sortCode, account_number: person.accounts[0]?.accountNumber })
const nameChecks: [expected: string, label: string, body: () => object][] = [
  ['not_matched', 'a name that is not the holder’s', () => beneficiary({ ...of(world.ben), name: 'Riverside Rentals' })],
  ['not_matched', 'an account that this bank does not have', () => beneficiary({ sort_code: '040404', name: 'Ben Nevis' })],
  ['close_match', 'a name nearly that of the holder', () => beneficiary({ ...of(world.ben), name: 'B Nevis' })],
  ['matched', 'the holder’s name, otherwise spelled', () => beneficiary({ ...of(world.ben), name: 'Mr BEN NEVIS' })],
  ['not_checked', 'an account at another bank', () => beneficiary({ name: 'Ben Nevis' })],
]
for (const [expected, label, body] of nameChecks)
  test(`NAT-S7 ${label}: ${expected}, kept and shown, and the holder’s name is never told`, async () => {
    const carol = await world.appToken(await world.newPerson())
    const sent = body()
    const added = await post(sent, { as: carol })
    assert.deepEqual([added.status, added.body.name_check], [201, expected], added.text)
    assert.deepEqual(await list(carol), [added.body])
    const { name_check, id, created_at, ...echoed } = added.body
    assert.deepEqual([echoed, typeof id, typeof created_at], [sent, 'string', 'string'])
    const { name } = sent as { name: string }
    if (name !== 'Ben Nevis') assert.doesNotMatch(added.text.replace(name, ''), /Nevis/)
  })

test('NAT-S7 a closed account, and one that is not there, are one answer', async () => {
  const [, savings] = world.ada.accounts
  await world.owner.query(sql.unsafe`update ledger.account set status = 'closed' where account_id = ${savings?.id ?? ''}`)
  const carol = await world.appToken(await world.newPerson())
  const bodies = [savings?.accountNumber, '99999999'].map((account_number) => ({ name: 'Ada Byron', sort_code: '040404', account_number }))
  for (const body of bodies) assert.equal((await post(body, { as: carol })).body.name_check, 'not_matched')
})

test('NAT-A5 the key is required; a repeat finds the same; another body is 409', async () => {
  assert.deepEqual(problem(await post(beneficiary(), { headers: {} })), [400, 'validation_error'])
  const [body, headers] = [beneficiary(), { 'idempotency-key': randomUUID() }]
  const [one, again] = [await post(body, { headers }), await post(body, { headers })]
  assert.deepEqual([one.status, again.status, again.body], [201, 201, one.body])
  assert.deepEqual(problem(await post(beneficiary(), { headers })), [409, 'idempotency_conflict'])
})

test('NAT-A5 two customers of one app with the same key and body are two requests', async () => {
  const [body, headers] = [beneficiary(), { 'idempotency-key': randomUUID() }]
  const one = await post(body, { headers })
  const other = await post(body, { headers, as: await world.appToken(world.ben) })
  assert.deepEqual([one.status, other.status], [201, 201])
  assert.notEqual(one.body.id, other.body.id)
})

test('NAT-07 a transfer to a beneficiary, and not to one of somebody else', async () => {
  const { id } = (await post(beneficiary())).body
  const from = world.ada.accounts[0]?.id ?? ('' as never)
  const paying = await world.authoriseTransfer(world.ada, { from, to: id, amount: '2.22' })
  const body = { source_account_id: from, destination_account_id: id, amount_cents: 222, currency: 'GBP', description: 'Wine' }
  const answer = await world.app.send('POST', '/api/v1/transactions/transfer', {
    token: paying,
    body,
    headers: { 'idempotency-key': randomUUID() },
  })
  assert.equal(answer.status, 202, answer.text)
  const found = await world.app.send('GET', `/api/v1/transactions/${answer.body.transaction_id}`, { token })
  assert.equal(found.body.counterparty.name, 'Chloé Wine & Co')
})

test('NAT-S3 a transfer to a beneficiary whose account this bank does not have is 422, and nothing is set aside', async () => {
  const { id } = (await post(beneficiary({ sort_code: '040404' }))).body
  const from = world.ada.accounts[0]?.id ?? ('' as never)
  const held = () => world.owner.oneFirst(sql.unsafe`select held_minor from ledger.account where account_id = ${from}`)
  const before = await held()
  const paying = await world.authoriseTransfer(world.ada, { from, to: id, amount: '3.33' })
  const body = { source_account_id: from, destination_account_id: id, amount_cents: 333, currency: 'GBP', description: 'Wine' }
  const headers = { 'idempotency-key': randomUUID() }
  assert.deepEqual(problem(await world.app.send('POST', '/api/v1/transactions/transfer', { token: paying, body, headers })), [
    422,
    'account_not_usable',
  ])
  assert.equal(await held(), before)
})

test('a beneficiary leaves an event and an audit record', async () => {
  const { id } = (await post(beneficiary())).body
  assert.equal(await world.owner.oneFirst(sql.unsafe`select count(*) from audit.record where subject = ${id}`), 1n)
  assert.equal(await world.owner.oneFirst(sql.unsafe`select count(*) from events.event where subject = ${id}`), 1n)
})

test('NAT-A10 every answer of this file is one that our own document allows', () => {
  for (const answered of world.answers) assertOwn(answered)
})
