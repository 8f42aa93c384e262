import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Database, type SqlFragment, sql, sqlState, transact, violatedConstraint, z } from '@bankside/service-kit/postgres'
import type { AccountId, PaymentId } from '../ids.ts'
import { reconcile } from '../ledger/reconcile.ts'
import { setLimit } from '../limits/set-limit.ts'
import type { PaymentCheck, Verdict } from '../risk/payment-check.ts'
import { advancePayments, leaseMs } from './advance-payments.ts'
import { readPaymentLife } from './payment-life.ts'
import { approvePayment, listPaymentsInReview, refusePayment } from './review-payment.ts'
import { settlePayments } from './settle-payments.ts'
import { paymentDeadlineMs } from './submission-call.ts'
import { gbp, later, noon, openTestBank, type TestBank } from './testing/test-bank.ts'

let bank: TestBank
let payee: AccountId
before(async () => {
  bank = await openTestBank()
  payee = await bank.newAccount()
})
after(() => bank.close())

const saying =
  (verdict: Verdict): PaymentCheck =>
  async (payments) =>
    payments.map(({ id }) => ({
      paymentId: id,
      verdict,
      score: 80,
      reasons: [{ rule: 'test', points: 80, words: 'it is a test', fact: '1' }],
    }))
const silent: PaymentCheck = async () => []
const advance = (check: PaymentCheck | undefined, now = noon, database: Database = bank.worker) =>
  advancePayments(database, { now, limit: 100, ...(check && { check }), onFault: (error) => faults.push(String(error)) })
const faults: string[] = []

async function pay(from: AccountId, minor = 1_000, now = noon) {
  return bank.submit(
    await bank.newConsent({
      debtorAccountId: from,
      creditorAccountId: payee,
      amount: gbp(minor),
      now,
    }),
    { now },
  )
}
const newPayment = async () => {
  const from = await bank.newAccount({ funds: 5_000n })
  return { from, ...(await pay(from)) }
}
const stateRow = z.object({
  status: z.string(),
  step: z.string().nullable(),
  reason: z.string().nullable(),
  held: z.bigint(),
  posted: z.bigint(),
})
const state = async (paymentId: PaymentId) =>
  Object.values(
    await bank.owner.one(sql.type(stateRow)`
      select p.status, p.step, p.rejection_reason as reason, a.held_minor as held, a.posted_minor as posted
      from payments.payment p join ledger.account a on a.account_id = p.debtor_account_id where p.payment_id = ${paymentId}`),
  )
const waiting = (step: string) => ['held', step, null, 1_000n, 5_000n]
const posted = ['posted', null, null, 0n, 4_000n]
const rejected = (reason: string) => ['rejected', null, reason, 0n, 5_000n]
const life = (paymentId: string) => transact(bank.owner, (tx) => readPaymentLife(tx, paymentId))
const told = async (paymentId: string) => (await life(paymentId)).told.map(({ type }) => type)
const done = async (paymentId: string) => (await life(paymentId)).done.map(({ action, actor }) => `${action} by ${actor}`).toSorted()
const decision = (paymentId: string, now = noon) => ({ paymentId, actor: 'operator maud', why: 'I rang the customer', now })

test('a step leads forward only, and is taken by whoever holds the lease', async () => {
  const { id } = await newPayment()
  const change = (what: SqlFragment) => bank.owner.query(sql.unsafe`update payments.payment set ${what} where payment_id = ${id}`)
  const refusedAs = (constraint: string) => (error: unknown) => violatedConstraint(error) === constraint
  await assert.rejects(change(sql.fragment`step = 'checks'`), refusedAs('payment_moves_forward'))
  await assert.rejects(change(sql.fragment`lease = -1`), refusedAs('payment_moves_forward'))
  await assert.rejects(change(sql.fragment`step = 'posted'`), refusedAs('payment_moves_forward'))
  await change(sql.fragment`step = 'cleared'`)
  for (const step of ['checks', 'review']) await assert.rejects(change(sql.fragment`step = ${step}`), refusedAs('payment_moves_forward'))
  await advance(saying('refuse'))
  assert.deepEqual(await state(id), posted, 'what is cleared is not checked again')
})

test('a worker that was taken over lets nothing go on that waits for a person, and finishes nothing behind the ledger', async () => {
  const { id } = await newPayment()
  await advance(saying('review'))
  const lease = (await bank.owner.oneFirst(sql.unsafe`select lease from payments.payment where payment_id = ${id}`)) as number
  const pass = { paymentId: id, verdict: 'pass', score: 0, reasons: [] } as const
  for (const verdict of ['pass', 'refuse'] as const)
    assert.equal(
      await transact(bank.worker, (tx) => settlePayments(tx, [{ paymentId: id, lease, assessment: { ...pass, verdict } }], noon)),
      0,
    )
  for (const attempt of [
    sql.unsafe`update payments.payment set step = 'cleared' where payment_id = ${id}`,
    sql.unsafe`update payments.payment set status = 'rejected', rejection_reason = 'U042' where payment_id = ${id}`,
    sql.unsafe`select payments.clear_payment(${id}, ${sql.timestamp(noon)})`,
    sql.unsafe`select payments.settle_money(${sql.timestamp(noon)}, '{}')`,
    sql.unsafe`update payments.risk_threshold set at_least = 1000`,
  ])
    await assert.rejects(bank.worker.query(attempt), (error) => sqlState(error) === '42501')
  assert.deepEqual(await state(id), waiting('review'))
  await transact(bank.owner, (tx) => refusePayment(tx, decision(id)))
})

test('PIS-16 what a check passes is posted, what it refuses is rejected without the reason, and its funds are free again', async () => {
  const [good, bad] = [await newPayment(), await newPayment()]
  await advance(async (payments) =>
    Promise.all(payments.map(async (payment) => (await saying(payment.id === bad.id ? 'refuse' : 'pass')([payment], never))[0]!)),
  )
  assert.deepEqual([await state(good.id), await state(bad.id)], [posted, rejected('U042')])
  assert.deepEqual(await told(bad.id), ['payment.held', 'payment.rejected'])
  const { score, reasons } = await life(bad.id)
  assert.deepEqual([score, reasons.map(({ words }) => words)], [80, ['it is a test']])
})
const never = { now: noon, signal: new AbortController().signal }

test('PIS-16 a person decides on a payment in review, once; who and why is on record', async () => {
  const [one, other] = [await newPayment(), await newPayment()]
  assert.equal(await advance(saying('review')), 2)
  assert.equal(await advance(saying('pass')), 0, 'nobody asks about it again')
  assert.deepEqual([await state(one.id), await state(other.id)], [waiting('review'), waiting('review')])
  assert.deepEqual(
    (await transact(bank.owner, listPaymentsInReview)).map(({ id, score }) => [id, score]).toSorted(),
    [
      [one.id, 80],
      [other.id, 80],
    ].toSorted(),
  )
  const notWaiting = (work: Promise<unknown>) => assert.rejects(work, { code: 'payment_not_found' })
  await notWaiting(transact(bank.owner, (tx) => approvePayment(tx, decision('pay_1'))))

  // Of two persons who decide at once, one is told that it does not wait any more.
  const both = await Promise.allSettled([
    transact(bank.owner, (tx) => approvePayment(tx, decision(one.id))),
    transact(bank.owner, (tx) => refusePayment(tx, decision(one.id))),
  ])
  assert.deepEqual(both.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
  const approved = both[0].status === 'fulfilled'
  assert.deepEqual(await state(one.id), approved ? waiting('cleared') : rejected('U042'))
  await transact(bank.owner, (tx) => refusePayment(tx, decision(other.id)))
  await notWaiting(transact(bank.owner, (tx) => approvePayment(tx, decision(other.id))))
  await advance(silent)
  assert.deepEqual(await state(one.id), approved ? posted : rejected('U042'))
  assert.deepEqual(await state(other.id), rejected('U042'))
  assert.deepEqual(await told(other.id), ['payment.held', 'payment.in_review', 'payment.rejected'])
  assert.deepEqual(await done(other.id), [
    'payment.in_review by worker',
    'payment.rejected by operator maud',
    'payment.submitted by third-party',
  ])
  assert.deepEqual((await life(other.id)).done.find(({ action }) => action === 'payment.rejected')?.details, {
    reason: 'U042',
    score: 80,
    why: 'I rang the customer',
  })
})

test('what no person decided by the deadline is rejected, its funds are free, and its limit has room again', async () => {
  const { id, from } = await newPayment()
  const limit = {
    scope: 'account',
    subjectId: from,
    channel: undefined,
    period: 'month',
    most: gbp(1_000),
    soft: false,
    setBy: 'bank',
  } as const
  await transact(bank.owner, (tx) => setLimit(tx, { ...limit, actor: 'operator', now: noon }))
  await advance(saying('review'))
  assert.equal((await pay(from, 1)).rejectionReason, 'AM14')
  const deadline = later(paymentDeadlineMs)
  await advance(saying('pass'), new Date(deadline.getTime() - 1))
  assert.deepEqual(await state(id), waiting('review'))
  await assert.rejects(
    transact(bank.owner, (tx) => approvePayment(tx, decision(id, deadline))),
    { code: 'payment_not_found' },
  )
  await advance(saying('pass'), deadline)
  assert.deepEqual(await state(id), rejected('AB03'))
  assert.equal((await pay(from, 1_000)).status, 'held')
  await advance(saying('pass'), deadline)
})

test('an approval that the deadline overtakes posts nothing', async () => {
  const { id } = await newPayment()
  await advance(saying('review'))
  await transact(bank.owner, (tx) => approvePayment(tx, decision(id)))
  await advance(saying('pass'), later(paymentDeadlineMs))
  assert.deepEqual(await state(id), rejected('AB03'))
})

test('a check that fails or says nothing holds up nobody: it is asked again when the lease ends, and the deadline frees the funds', async () => {
  const { id } = await newPayment()
  faults.length = 0
  await advance(async () => Promise.reject(new Error('the check is down')))
  await advance(silent, later(leaseMs - 1))
  assert.deepEqual([faults, await state(id)], [['Error: the check is down'], waiting('checks')])
  await advance(silent, later(leaseMs))
  assert.deepEqual(faults.slice(1), ['Error: the check did not answer for 1 payments'])
  await advance(silent, later(paymentDeadlineMs))
  assert.deepEqual(await state(id), rejected('AB03'))
})

test('nothing is locked while the check thinks; a worker that is late changes nothing of what another did meanwhile', async () => {
  const { id } = await newPayment()
  let answer = (_: Verdict) => {}
  const late = advance(async (payments, asked) => saying(await new Promise<Verdict>((resolve) => (answer = resolve)))(payments, asked))
  while ((await bank.owner.oneFirst(sql.unsafe`select lease from payments.payment where payment_id = ${id}`)) !== 1);
  await transact(bank.owner, (tx) =>
    tx.query(sql.unsafe`
    select from payments.payment p, ledger.account a where p.payment_id = ${id} and a.account_id = p.debtor_account_id for update nowait`),
  )
  assert.equal(await advance(saying('pass')), 0, 'it is taken')
  assert.equal(await advance(saying('pass'), later(leaseMs)), 1, 'its lease has ended')
  answer('refuse')
  assert.equal(await late, 0)
  assert.deepEqual(await state(id), posted)
  assert.deepEqual(await told(id), ['payment.held', 'payment.posted'])
})

test('the built-in check scores a payment by the rules in the database, says why, and knows the payee the next time', async () => {
  const from = await bank.newAccount({ funds: 9_000_000n })
  const [large, again, small] = [await pay(from, 150_000), await pay(from, 150_000), await pay(from, 2_999)]
  await advance(undefined)
  const scored = async ({ id }: { id: PaymentId }) => {
    const { score, reasons, payment } = await life(id)
    return [payment.status, score, ...reasons.map(({ rule, fact }) => `${rule} ${fact}`)]
  }
  for (const payment of [large, again])
    assert.deepEqual(await scored(payment), ['posted', 55, 'large_amount 1500', 'new_payee 1', 'new_device 1'])
  assert.deepEqual(await scored(small), ['posted', 0, 'small_amount 29', 'new_payee 1', 'new_device 1'])
  const known = await pay(from, 150_000)
  await advance(undefined)
  assert.deepEqual(await scored(known), ['posted', 35, 'large_amount 1500', 'new_device 1'])

  const elsewhere = await bank.newAccount({ funds: 9_000_000n })
  const [huge, night] = [await pay(elsewhere, 2_000_000), await pay(elsewhere, 2_000_000, new Date('2026-06-14T23:30:00Z'))]
  await advance(undefined, new Date('2026-03-02T12:00:01Z'))
  assert.deepEqual((await scored(huge)).slice(0, 2), ['held', 100])
  assert.deepEqual((await scored(night)).slice(0, 2), ['rejected', 110], 'half past midnight in London')
  await transact(bank.owner, (tx) => approvePayment(tx, decision(huge.id)))
  await advance(undefined, new Date('2026-03-02T12:00:02Z'))
  assert.deepEqual((await scored(huge)).slice(0, 2), ['posted', 100])
})

test('at the end of all this the books agree', async () => {
  assert.deepEqual(await reconcile(bank.worker), [])
})
