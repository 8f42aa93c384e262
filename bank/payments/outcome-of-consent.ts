import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { ConsentId } from '../ids.ts'
import { type Limit, limitColumns, limitRow, toLimit } from '../limits/limit.ts'
import { isRejectionReason, type PaymentStatus, type PaymentStep, type RejectionReason } from './payment.ts'

/** How the payment of a consent stands, as its customer may know it. */
export type PaymentOutcome = {
  readonly status: PaymentStatus
  readonly step: PaymentStep | undefined
  readonly rejectionReason: RejectionReason | undefined
  /** The limit that refused it. */
  readonly limit: Limit | undefined
}

const outcomeRow = z.object({
  status: z.enum(['held', 'posted', 'rejected']).nullable(),
  step: z.enum(['checks', 'review', 'cleared']).nullable(),
  rejection_reason: z.custom<RejectionReason>(isRejectionReason).nullable(),
  limit_id: z.string().nullable(),
})

/** Undefined where none was made under it. That the consent is the customer's is for the caller to know. */
export async function outcomeOfConsent(tx: Transaction, consentId: ConsentId): Promise<PaymentOutcome | undefined> {
  const row = await tx.one(sql.type(outcomeRow)`select status, step, rejection_reason, limit_id from payments.outcome_of(${consentId})`)
  if (row.status === null) return undefined
  const limit =
    row.limit_id &&
    (await tx.one(sql.type(limitRow)`select ${limitColumns} from payments.spending_limit l where l.limit_id = ${row.limit_id}`))
  return {
    status: row.status,
    step: row.step ?? undefined,
    rejectionReason: row.rejection_reason ?? undefined,
    limit: limit ? toLimit(limit) : undefined,
  }
}
