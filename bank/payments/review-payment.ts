import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'
import { isPaymentId, type PaymentId } from '../ids.ts'
import { refuse } from '../refusal.ts'
import type { Reason } from '../risk/payment-check.ts'
import { type Payment, paymentColumns, paymentRow, toPayment } from './payment.ts'
import { settlePayments } from './settle-payments.ts'

export type Review = {
  readonly paymentId: string
  /** Who decides, and why: both stand in the audit log. */
  readonly actor: string
  readonly why: string
  readonly now: Date
}

/** Lets a payment go on that waits for a person. The worker posts it. @throws {Refusal} `payment_not_found`, also when it does not wait for one. */
export async function approvePayment(tx: Transaction, { paymentId, actor, why, now }: Review): Promise<void> {
  const { id } = await lockInReview(tx, paymentId, now)
  await tx.query(sql.unsafe`select payments.clear_payment(${id}, ${sql.timestamp(now)})`)
  await appendAudit(tx, { actor, action: 'payment.approved', subject: id, details: { why }, now })
}

/** Rejects a payment that waits for a person, and frees its funds. @throws {Refusal} as {@link approvePayment}. */
export async function refusePayment(tx: Transaction, { paymentId, actor, why, now }: Review): Promise<void> {
  const { id, lease, score, reasons } = await lockInReview(tx, paymentId, now)
  const assessment = { paymentId: id, verdict: 'refuse', score, reasons } as const
  await settlePayments(tx, [{ paymentId: id, lease, assessment }], now, { actor, why })
}

const lockedRow = z.object({ lease: z.number(), risk_score: z.number(), risk_reasons: z.custom<readonly Reason[]>(Array.isArray) })

async function lockInReview(tx: Transaction, paymentId: string, now: Date) {
  if (!isPaymentId(paymentId)) refuse('payment_not_found', 'not the id of a payment')
  const row = await tx.maybeOne(sql.type(lockedRow)`
    select lease, risk_score, risk_reasons from payments.payment
    where payment_id = ${paymentId} and step = 'review' and deadline_at > ${sql.timestamp(now)} for no key update`)
  if (row === null) refuse('payment_not_found', 'no such payment waits for a person')
  const id: PaymentId = paymentId
  return { id, lease: row.lease, score: row.risk_score, reasons: row.risk_reasons }
}

export type PaymentInReview = Payment & { readonly deadlineAt: Date; readonly score: number; readonly reasons: readonly Reason[] }

const inReviewRow = paymentRow.extend({
  deadline_at: z.date(),
  risk_score: z.number(),
  risk_reasons: z.custom<readonly Reason[]>(Array.isArray),
})

/** Those that wait for a person, the most pressing first. */
export async function listPaymentsInReview(tx: Transaction): Promise<readonly PaymentInReview[]> {
  const rows = await tx.any(sql.type(inReviewRow)`
    select ${paymentColumns}, p.deadline_at, p.risk_score, p.risk_reasons from payments.payment p
    where p.status = 'held' and p.step = 'review' order by p.deadline_at, p.payment_id`)
  return rows.map((row) => ({ ...toPayment(row), deadlineAt: row.deadline_at, score: row.risk_score, reasons: row.risk_reasons }))
}
