import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql, type Transaction, transact } from '@bankside/service-kit/postgres'
import { type AccountId, newPaymentId } from '../ids.ts'
import { advancePayments } from '../payments/advance-payments.ts'
import { getPayment } from '../payments/get-payment.ts'
import type { Submitted } from '../payments/payment-order.ts'
import { gbp, later, noon, openTestBank, type TestBank, type TestConsent } from '../payments/testing/test-bank.ts'
import { refusalOf, refuse } from '../refusal.ts'
import { canonicalJson } from './canonical-json.ts'
import { claimKey, type IdempotentRequest, keyRememberedMs } from './claim-key.ts'

let bank: TestBank
let ann: AccountId
before(async () => {
  bank = await openTestBank({ maxConnections: 25 })
  ann = await bank.newAccount({ funds: 1_000_000n })
})
after(() => bank.close())

let keys = 0
const newKey = () => `key-${++keys}`
const requestWith = (change: Partial<IdempotentRequest>): IdempotentRequest => ({
  ...{ clientId: 'third-party', method: 'POST', endpoint: '/open-banking/v4.0/pisp/domestic-payments', key: 'unset' },
  ...{ request: { amount: '10.00' }, resourceId: newPaymentId(), now: noon },
  ...change,
})
type Done = { readonly resourceId: string } | { readonly replayed: string }
const idOf = (done: Done) => ('replayed' in done ? done.replayed : done.resourceId)
async function once<Result extends object>(tx: Transaction, request: IdempotentRequest, work: () => Promise<Result>) {
  const claim = await claimKey(tx, request)
  return 'replayed' in claim ? claim : work()
}
const run = (change: Partial<IdempotentRequest>, work: () => Promise<object> = async () => ({})): Promise<Done> => {
  const request = requestWith(change)
  return transact(bank.resourceApi, async (tx) => {
    const outcome = await once(tx, request, work)
    return 'replayed' in outcome ? outcome : { resourceId: request.resourceId }
  })
}
const paymentOf = (submitted: Submitted) => ('replayed' in submitted ? submitted.replayed : submitted.made.id)
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    (error: unknown) => refusalOf(error)?.code ?? error,
  )
const pay = (key: string, consent: TestConsent) => bank.submitKeyed(consent, { key })

test('RW-ID-04 the same key with another request is refused, and makes nothing', async () => {
  const key = newKey()
  await run({ key })
  assert.equal(await code(run({ key, request: { amount: '10.01' } })), 'idempotency_key_reused')
  assert.equal(await code(run({ key, request: { amount: '10.0' } })), 'idempotency_key_reused')
})

test('RW-ID-04 requests are compared as canonical JSON, not as bytes', async () => {
  const key = newKey()
  const first = await run({ key, request: { a: 1, b: { c: [1, 2], d: 'x' } } })
  assert.deepEqual(await run({ key, request: { b: { d: 'x', c: [1, 2] }, a: 1 } }), { replayed: idOf(first) })
  assert.equal(await code(run({ key, request: { b: { d: 'x', c: [2, 1] }, a: 1 } })), 'idempotency_key_reused')
})

test('RW-ID-05 a refused request does not burn its key', async () => {
  const key = newKey()
  assert.equal(await code(run({ key }, async () => refuse('amount_invalid', 'no'))), 'amount_invalid')
  assert.ok('resourceId' in (await run({ key, request: { corrected: true } })))
})

test('RW-ID-05 a key that is missing or too long is refused', async () => {
  assert.equal(await code(run({ key: '' })), 'field_invalid')
  assert.equal(await code(run({ key: 'x'.repeat(41) })), 'field_invalid')
  assert.equal(await code(run({ key: 'x'.repeat(40) })), 'done')
})

test('RW-ID-02 RW-ID-07 a key belongs to its client, method and endpoint', async () => {
  const key = newKey()
  const made = [
    await run({ key }),
    await run({ key, clientId: 'other-party' }),
    await run({ key, method: 'PUT' }),
    await run({ key, endpoint: '/open-banking/v4.0/pisp/domestic-payment-consents' }),
  ]
  assert.ok(made.every((done) => 'resourceId' in done))
  assert.equal(new Set(made.map(idOf)).size, 4)
})

test('RW-ID-02 a key is remembered for a day, and free after that even if nobody dropped it', async () => {
  const key = newKey()
  const first = await run({ key })
  assert.deepEqual(await run({ key, now: later(keyRememberedMs - 1) }), { replayed: idOf(first) })
  const second = await run({ key, now: later(keyRememberedMs), request: { another: true } })
  assert.ok('resourceId' in second)
  assert.deepEqual(await run({ key, now: later(keyRememberedMs + 1), request: { another: true } }), { replayed: idOf(second) })
})

test('D7 a repeat while the first is running is told that the key is in use, and does not wait for long', async () => {
  const key = newKey()
  let finishFirst: () => void = () => {}
  const first = run({ key, resourceId: 'pay_first' }, () => new Promise((done) => (finishFirst = () => done({}))))
  await sleep(50)
  const startedMs = performance.now()
  assert.equal(await code(run({ key })), 'idempotency_key_in_use')
  assert.ok(performance.now() - startedMs < 2_000)
  finishFirst()
  await first
  assert.deepEqual(await run({ key }), { replayed: 'pay_first' })
})

test('a repeat that waits for a first that is refused takes its place', async () => {
  const key = newKey()
  const first = run({ key }, async () => {
    await sleep(100)
    return refuse('amount_invalid', 'no')
  })
  await sleep(30)
  const second = run({ key })
  assert.equal(await code(first), 'amount_invalid')
  assert.ok('resourceId' in (await second))
})

test('the wait for the first cuts short no other wait of the transaction', async () => {
  const timeout = await transact(bank.resourceApi, (tx) =>
    once(tx, requestWith({ key: newKey() }), async () => ({ shown: await tx.oneFirst(sql.unsafe`show lock_timeout`) })),
  )
  assert.deepEqual(timeout, { shown: '0' })
})

test('RW-ID-06 NAT-A5 fifty requests at once with one key make one payment', async () => {
  const consent = await bank.newConsent({ debtorAccountId: ann, amount: gbp(1000) })
  const key = newKey()
  const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => pay(key, consent)))
  const ids = new Set(outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [paymentOf(outcome.value)] : [])))
  assert.equal(ids.size, 1)
  for (const outcome of outcomes) if (outcome.status === 'rejected') assert.equal(refusalOf(outcome.reason)?.code, 'idempotency_key_in_use')
  const made = await bank.owner.oneFirst(sql.unsafe`select count(*) from payments.payment where consent_id = ${consent.consentId}`)
  assert.equal(made, 1n)
})

test('RW-ID-03 a repeat finds the payment as it is now', async () => {
  const consent = await bank.newConsent({ debtorAccountId: ann, amount: gbp(1000) })
  const key = newKey()
  const first = await pay(key, consent)
  assert.ok('made' in first && first.made.status === 'held')
  await advancePayments(bank.worker, { now: noon, limit: 10 })
  const repeat = await pay(key, consent)
  assert.deepEqual(repeat, { replayed: first.made.id })
  const found = await transact(bank.resourceApi, (tx) => getPayment(tx, { paymentId: first.made.id, clientId: 'third-party' }))
  assert.equal(found.status, 'posted')
})

test('RW-ID-09 another key does not make a second payment of a consent', async () => {
  const consent = await bank.newConsent({ debtorAccountId: ann, amount: gbp(1000) })
  await pay(newKey(), consent)
  assert.equal(await code(pay(newKey(), consent)), 'consent_already_used')
})

test('canonical JSON: members by name, no white space, strings letter by letter (RFC 8785)', () => {
  assert.equal(canonicalJson({ b: [1, { z: null, y: true }], a: '€\n"', '': -0 }), '{"":0,"a":"€\\n\\"","b":[1,{"y":true,"z":null}]}')
  assert.equal(canonicalJson({ a: undefined }), '{}')
  assert.equal(canonicalJson(JSON.parse('{"1.0":1.0,"10":1e2}')), '{"1.0":1,"10":100}')
  assert.notEqual(canonicalJson(JSON.parse('1e400')), canonicalJson(null))
  assert.equal(canonicalJson(JSON.parse('{"__proto__":1}')), '{"__proto__":1}')
  assert.throws(() => canonicalJson(JSON.parse('['.repeat(1000) + ']'.repeat(1000))), { code: 'field_invalid' })
})
