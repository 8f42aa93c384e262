import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { newAuditRecordId, newEntryId, newEventId, type PaymentId } from '../ids.ts'
import type { Assessment } from '../risk/payment-check.ts'

export type Settling = {
  readonly paymentId: PaymentId
  /** As it was taken: a payment that somebody else has taken since is left to them. */
  readonly lease: number
  /** Undefined where none was asked for: its time is up, or a person let it go on. */
  readonly assessment?: Assessment | undefined
}
export type SettledBy = { readonly actor: string; readonly why?: string }

const settledRow = z.object({ payment_id: z.custom<PaymentId>(), status: z.enum(['posted', 'rejected', 'review']) })

/** Posts, rejects or holds back, as was decided: money, payment, events and audit records in one statement. @returns how many. */
export async function settlePayments(
  tx: Transaction,
  settling: readonly Settling[],
  now: Date,
  { actor, why }: SettledBy = { actor: 'worker' },
): Promise<number> {
  const texts = (values: readonly (string | null)[]) => sql.array([...values], 'text')
  const numbers = (values: readonly (number | null)[]) => sql.array([...values], 'int4')
  const assessments = settling.map(({ assessment }) => assessment)
  const rows = await tx.any(sql.type(settledRow)`
    select payment_id, status from payments.settle(
      ${sql.timestamp(now)}, ${actor}, ${texts(settling.map(({ paymentId }) => paymentId))}, ${numbers(settling.map(({ lease }) => lease))},
      ${texts(assessments.map((assessment) => assessment?.verdict ?? null))},
      ${numbers(assessments.map((assessment) => assessment?.score ?? null))},
      ${texts(assessments.map((assessment) => (assessment === undefined ? null : JSON.stringify(assessment.reasons))))},
      ${texts(settling.map(() => newEntryId(now)))}, ${texts(settling.map(() => newEventId(now)))},
      ${texts(settling.map(() => newAuditRecordId(now)))}, ${why ?? null})`)
  return rows.length
}
