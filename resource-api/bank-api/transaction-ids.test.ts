import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { newEntryId, newPaymentId } from '@bankside/bank/ids'
import { transfer } from '@bankside/bank/ledger/transfer'
import { sql, transact } from '@bankside/service-kit/postgres'
import { assertOwn } from '../testing/own-definition.ts'
import { changed, paymentConsentBody } from '../testing/payment-bodies.ts'
import type { Answer } from '../testing/test-client.ts'
import { type Person, startTestWorld, type TestWorld } from '../testing/test-world.ts'

const api = '/api/v1'
const pisp = '/open-banking/v4.0/pisp'
let world: TestWorld
const tokens = new Map<Person, string>()

before(async () => {
  world = await startTestWorld()
  for (const person of [world.ada, world.ben]) tokens.set(person, await world.appToken(person))
})
after(() => world.close())

const account = (person: Person, index = 0) => person.accounts[index]?.id ?? ('' as never)
const get = (person: Person, path: string) => world.app.send('GET', api + path, { token: tokens.get(person) ?? '' })
const read = (person: Person, id: string) => get(person, `/transactions/${id}`)
const statement = async (person: Person, index = 0) =>
  (await get(person, `/accounts/${account(person, index)}/transactions?limit=100`)).body.transactions
/** All that a caller sees but the reference of this one answer. */
const seen = ({ status, headers, body }: Answer) =>
  JSON.stringify([status, headers['content-type'], headers['www-authenticate'], { ...body, instance: '' }])

/** A payment by a third party, authorised by its customer. */
async function payByThirdParty(
  person: Person,
  { amount = '4.56', to = '20000012345678' } = {},
): Promise<{ id: string; clientToken: string }> {
  const clientToken = await world.clientToken(world.acorn, 'payments')
  const request = changed(paymentConsentBody({ amount }), 'Data.Initiation.CreditorAccount.Identification', to)
  const key = () => ({ 'x-idempotency-key': randomUUID() })
  const consent = await world.acorn.send('POST', `${pisp}/domestic-payment-consents`, { token: clientToken, body: request, headers: key() })
  const { ConsentId } = consent.body.Data
  const token = await world.authorise(world.acorn, ConsentId, person, [account(person)])
  const body = { Data: { ConsentId, Initiation: request.Data.Initiation }, Risk: request.Risk }
  const made = await world.acorn.send('POST', `${pisp}/domestic-payments`, { token, body, headers: key() })
  assert.equal(made.status, 201, made.text)
  return { id: made.body.Data.DomesticPaymentId, clientToken }
}

test('NAT-S6 what is not mine, unknown, malformed, or named by another id than its own is 404, to the letter the same', async () => {
  const { id } = await payByThirdParty(world.ada)
  await world.finishPayments()
  const entry = (await world.owner.oneFirst(sql.unsafe`select entry_id from payments.payment where payment_id = ${id}`)) as string
  const [opening] = (await statement(world.ada)).slice(-1)
  assert.match(opening.id, /^ent_/)
  const answers = []
  for (const unseen of [id, entry, opening.id, newPaymentId(), newEntryId(), 'pay_1', 'ent_1', `${opening.id}.debit`, 'x', '%00'])
    answers.push(seen(await read(world.ben, unseen)))
  // Who may see the payment does so by its own id only.
  answers.push(seen(await read(world.ada, entry)), seen(await read(world.ada, id.toUpperCase())))
  assert.deepEqual([...new Set(answers)].length, 1, answers.join('\n'))
  assert.match(answers[0] ?? '', /^\[404,/)
})

test('NAT-S6 a payment that did not reach its payee is no affair of theirs', async () => {
  const [ben] = world.ben.accounts
  const { id } = await payByThirdParty(world.ada, { amount: '25000.00', to: `${ben?.sortCode}${ben?.accountNumber}` })
  const mine = await read(world.ada, id)
  assert.deepEqual([mine.status, mine.body.status, mine.body.failure_code], [200, 'FAILED', 'AM04'])
  assert.equal((await read(world.ben, id)).status, 404)
})

test('NAT-A8 NAT-06 a payment made by a third party: its customer follows it here, and never another', async () => {
  await world.straightThrough(false)
  const { id, clientToken } = await payByThirdParty(world.ada)
  const waiting = await read(world.ada, id)
  assert.deepEqual([waiting.status, waiting.body.status], [200, 'PENDING'])
  await world.finishPayments()
  const done = await read(world.ada, id)
  assert.deepEqual([done.body.status, done.body.amount_cents, done.body.source_account_id], ['COMPLETED', 456, account(world.ada)])
  assert.deepEqual(done.body.counterparty, { name: 'ACME Inc', scheme: 'UK.OBIE.SortCodeAccountNumber', identification: '20000012345678' })
  assert.equal((await statement(world.ada))[0].id, id)
  const third = await world.acorn.send('GET', `${pisp}/domestic-payments/${id}`, { token: clientToken })
  assert.equal(third.body.Data.DomesticPaymentId, id)
  assert.equal((await read(world.ben, id)).status, 404)
  assert.ok(!(await statement(world.ben)).some((row: { id: string }) => row.id === id))
  await world.straightThrough(true)
})

test('NAT-A8 NAT-06 both ends of a payment know it by one id, and the payee reads nothing of the account that paid', async () => {
  const [ben] = world.ben.accounts
  const { id } = await payByThirdParty(world.ada, { to: `${ben?.sortCode}${ben?.accountNumber}` })
  await world.finishPayments()
  assert.deepEqual([(await statement(world.ada))[0].id, (await statement(world.ben))[0].id], [id, id])
  const { body } = await read(world.ben, id)
  assert.deepEqual([body.direction, body.destination_account_id, body.status], ['credit', account(world.ben), 'COMPLETED'])
  assert.deepEqual([body.source_account_id, body.counterparty], [undefined, undefined])
})

test('NAT-S6 whoever paid is the payer, also after the account is closed', async () => {
  const [ben] = world.ben.accounts
  const { id } = await payByThirdParty(world.ada, { to: `${ben?.sortCode}${ben?.accountNumber}` })
  await world.finishPayments()
  await world.owner.query(sql.unsafe`update ledger.account set status = 'closed' where account_id = ${account(world.ada)}`)
  const { body } = await read(world.ada, id)
  await world.owner.query(sql.unsafe`update ledger.account set status = 'open' where account_id = ${account(world.ada)}`)
  assert.deepEqual([body.direction, body.source_account_id, body.destination_account_id], ['debit', account(world.ada), undefined])
})

test('NAT-06 NAT-A8 every row of every statement is read again by its id, and says the same', async () => {
  await world.book(account(world.ada), [250_000n, -1_200n], new Date('2031-02-01T09:00:00Z'))
  const order = { kind: 'transfer', description: 'To savings', reference: 'SAVE', now: new Date('2031-02-02T09:00:00Z') } as const
  const amount = { minor: 900n, currency: 'GBP' } as const
  await transact(world.owner, (tx) => transfer(tx, { ...order, from: account(world.ada), to: account(world.ada, 1), amount }))
  for (const [index] of world.ada.accounts.entries())
    for (const row of await statement(world.ada, index)) {
      const { status, body } = await read(world.ada, row.id)
      assert.equal(status, 200, row.id)
      assert.deepEqual([body.transaction_id, body.status, body.currency], [row.id, 'COMPLETED', row.currency])
      assert.equal(body.amount_cents, Math.abs(row.amount_cents))
      assert.equal(row.direction === 'debit' ? body.source_account_id : body.destination_account_id, account(world.ada, index))
    }
  const [ownTransfer] = await statement(world.ada, 1)
  assert.deepEqual(seen(await read(world.ada, ownTransfer.id)), seen(await read(world.ada, (await statement(world.ada))[0].id)))
  const { body } = await read(world.ada, ownTransfer.id)
  assert.deepEqual([body.direction, body.transaction_ref, body.description], ['debit', 'SAVE', 'To savings'])
})

test('FAPI2-RS-04 without the scope no id is read', async () => {
  const [row] = await statement(world.ada)
  const poor = await world.appToken(world.ada, { scope: 'openid accounts:read' })
  const answer = await world.app.send('GET', `${api}/transactions/${row.id}`, { token: poor })
  assert.deepEqual([answer.status, answer.body.code], [403, 'insufficient_scope'])
})

test('NAT-A10 every answer of this file is one that our own document allows', () => {
  for (const answered of world.answers) if (answered.path.startsWith(api)) assertOwn(answered)
})
