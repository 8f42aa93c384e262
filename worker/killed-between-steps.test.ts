import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PaymentId } from '@bankside/bank/ids'
import { reconcile } from '@bankside/bank/ledger/reconcile'
import { advancePayments, leaseMs } from '@bankside/bank/payments/advance-payments'
import { readPaymentLife } from '@bankside/bank/payments/payment-life'
import { gbp, later, noon, openTestBank, type TestBank } from '@bankside/bank/payments/testing/test-bank'
import type { PaymentCheck, Verdict } from '@bankside/bank/risk/payment-check'
import { sql, transact, z } from '@bankside/service-kit/postgres'

let bank: TestBank
before(async () => {
  bank = await openTestBank()
})
after(() => bank.close())

const saying =
  (verdict: Verdict): PaymentCheck =>
  async (payments) =>
    payments.map(({ id }) => ({ paymentId: id, verdict, score: 0, reasons: [] }))
const stateRow = z.object({
  status: z.string(),
  step: z.string().nullable(),
  lease: z.number(),
  held: z.bigint(),
  posted: z.bigint(),
  spent: z.bigint(),
})
const state = (paymentId: PaymentId) =>
  bank.owner.one(sql.type(stateRow)`
    select p.status, p.step, p.lease, a.held_minor as held, a.posted_minor as posted, s.spent_minor as spent
    from payments.payment p join ledger.account a on a.account_id = p.debtor_account_id join payments.spent s using (account_id)
    where p.payment_id = ${paymentId}`)

async function newPayment(): Promise<PaymentId> {
  const [from, to] = [await bank.newAccount({ funds: 5_000n }), await bank.newAccount()]
  return (await bank.submit(await bank.newConsent({ debtorAccountId: from, creditorAccountId: to, amount: gbp(1_000) }))).id
}

async function killedAt(step: string, paymentId: PaymentId, url = bank.urls.workerUrl): Promise<void> {
  const { lease } = await state(paymentId)
  const file = join(import.meta.dirname, 'testing', 'work-until-killed.ts')
  const child = spawn(process.execPath, [file, step, url, paymentId, String(lease), noon.toISOString()], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const ended = once(child, 'exit').then(() => 'ended')
  assert.equal((await Promise.race([once(child, 'message'), ended]))[0], 'there')
  child.kill('SIGKILL')
  await ended
  // Its connection may hold its locks for a moment.
  const free = sql.unsafe`select from payments.payment where payment_id = ${paymentId} for update skip locked`
  while (!(await bank.owner.exists(free))) await sleep(10)
}

const held = { status: 'held', held: 1_000n, posted: 5_000n, spent: 1_000n }
const posted = { status: 'posted', step: null, held: 0n, posted: 4_000n, spent: 1_000n }
const rejected = { status: 'rejected', step: null, held: 0n, posted: 5_000n, spent: 0n }

test('a worker killed while the check is asked, and between what it wrote and its commit: the next one finishes, once', async () => {
  for (const [step, verdict, end, told] of [
    ['taken, the check is asked', 'pass', posted, 'payment.posted'],
    ['posted, not committed', 'pass', posted, 'payment.posted'],
    ['posted, not committed', 'refuse', rejected, 'payment.rejected'],
    ['refused, not committed', 'refuse', rejected, 'payment.rejected'],
    ['in review, not committed', 'pass', posted, 'payment.posted'],
  ] as const) {
    const paymentId = await newPayment()
    await killedAt('taken, the check is asked', paymentId)
    if (step !== 'taken, the check is asked') await killedAt(step, paymentId)
    assert.deepEqual(await state(paymentId), { ...held, step: 'checks', lease: 1 }, step)
    const next = (now: Date) => advancePayments(bank.worker, { now, limit: 10, check: saying(verdict) })
    assert.equal(await next(later(leaseMs - 1)), 0, 'the lease of the dead still holds')
    assert.equal(await next(later(leaseMs)), 1)
    assert.deepEqual(await state(paymentId), { ...end, lease: 2 }, step)
    const life = await transact(bank.owner, (tx) => readPaymentLife(tx, paymentId))
    assert.deepEqual(
      life.told.map(({ type }) => type),
      ['payment.held', told],
      step,
    )
  }
})

test('the command of a person killed before its commit has decided nothing', async () => {
  for (const step of ['approved by a person, not committed', 'refused by a person, not committed']) {
    const paymentId = await newPayment()
    await advancePayments(bank.worker, { now: noon, limit: 10, check: saying('review') })
    await killedAt(step, paymentId, bank.urls.ownerUrl)
    assert.deepEqual(await state(paymentId), { ...held, step: 'review', lease: 1 }, step)
    await advancePayments(bank.worker, { now: later(24 * 3_600_000), limit: 10, check: saying('pass') })
    assert.deepEqual(await state(paymentId), { ...rejected, lease: 2 }, step)
  }
})

test('at the end of all this the books agree', async () => {
  assert.deepEqual(await reconcile(bank.worker), [])
})
