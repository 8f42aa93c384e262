import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { isPaymentId } from '../ids.ts'
import { refuse } from '../refusal.ts'
import type { Reason } from '../risk/payment-check.ts'
import { type Payment, paymentColumns, paymentRow, toPayment } from './payment.ts'

/** What became of a payment so far, for the bank: what was done to it, and what was told of it. */
export type PaymentLife = {
  readonly payment: Payment
  readonly deadlineAt: Date
  readonly score: number | undefined
  readonly reasons: readonly Reason[]
  readonly done: readonly { readonly at: Date; readonly action: string; readonly actor: string; readonly details: unknown }[]
  readonly told: readonly { readonly type: string; readonly occurredAt: Date; readonly deliveredAt: Date | undefined }[]
}

const lifeRow = paymentRow.extend({
  deadline_at: z.date(),
  risk_score: z.number().nullable(),
  risk_reasons: z.custom<readonly Reason[]>(Array.isArray).nullable(),
})
const doneRow = z.object({ occurred_at: z.date(), action: z.string(), actor: z.string(), details: z.unknown() })
const toldRow = z.object({ type: z.string(), occurred_at: z.date(), delivered_at: z.date().nullable() })

/** @throws {Refusal} `payment_not_found`. */
export async function readPaymentLife(tx: Transaction, paymentId: string): Promise<PaymentLife> {
  const row = isPaymentId(paymentId)
    ? await tx.maybeOne(sql.type(lifeRow)`
        select ${paymentColumns}, p.deadline_at, p.risk_score, p.risk_reasons from payments.payment p where p.payment_id = ${paymentId}`)
    : null
  if (row === null) refuse('payment_not_found', 'there is no such payment')
  const done = await tx.any(sql.type(doneRow)`
    select occurred_at, action, actor, details from audit.record where subject = ${paymentId} order by occurred_at, record_id`)
  const told = await tx.any(sql.type(toldRow)`
    select type, occurred_at, delivered_at from events.event where subject = ${paymentId} order by event_number`)
  return {
    payment: toPayment(row),
    deadlineAt: row.deadline_at,
    score: row.risk_score ?? undefined,
    reasons: row.risk_reasons ?? [],
    done: done.map(({ occurred_at: at, ...rest }) => ({ at, ...rest })),
    told: told.map(({ type, occurred_at, delivered_at }) => ({ type, occurredAt: occurred_at, deliveredAt: delivered_at ?? undefined })),
  }
}
