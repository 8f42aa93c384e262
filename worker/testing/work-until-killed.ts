/** A child of killed-between-steps.test.ts: goes as far as it is told with one payment, says so, and stays there until it is killed. */
import type { PaymentId } from '@bankside/bank/ids'
import { advancePayments } from '@bankside/bank/payments/advance-payments'
import { approvePayment, refusePayment } from '@bankside/bank/payments/review-payment'
import { settlePayments } from '@bankside/bank/payments/settle-payments'
import { openDatabase, type Transaction, transact } from '@bankside/service-kit/postgres'

const [step = '', url = '', payment = '', lease = '', time = ''] = process.argv.slice(2)
const paymentId = payment as PaymentId
const now = new Date(time)
const database = await openDatabase(url)
const review = { paymentId, actor: 'operator', why: 'a test', now }
const assessment = { paymentId, score: 0, reasons: [] } as const

async function stay(): Promise<never> {
  process.send?.('there')
  return new Promise<never>(() => setInterval(() => {}, 1_000))
}
const uncommitted = (work: (tx: Transaction) => Promise<unknown>) =>
  transact(database, async (tx) => {
    await work(tx)
    await stay()
  })
const settling = (verdict: 'pass' | 'refuse' | 'review') =>
  uncommitted((tx) => settlePayments(tx, [{ paymentId, lease: Number(lease), assessment: { ...assessment, verdict } }], now))

const steps: Readonly<Record<string, () => Promise<unknown>>> = {
  'taken, the check is asked': () => advancePayments(database, { now, limit: 10, check: stay }),
  'posted, not committed': () => settling('pass'),
  'refused, not committed': () => settling('refuse'),
  'in review, not committed': () => settling('review'),
  'approved by a person, not committed': () => uncommitted((tx) => approvePayment(tx, review)),
  'refused by a person, not committed': () => uncommitted((tx) => refusePayment(tx, review)),
}
await steps[step]?.()
