import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type AccountId, type EntryId, type HoldId, newEntryId, type PaymentId } from '../ids.ts'
import { type Party, partyValue } from './party.ts'

export type Capture = {
  readonly holdId: HoldId
  readonly creditorAccountId: AccountId
  /** The payment it was held for: the database compares it with everything here. Null when it was held for none. */
  readonly paymentId: PaymentId | null
  readonly description: string
  readonly reference: string
  /** Who the debtor's statement names. */
  readonly creditor: Party
  readonly now: Date
}
export type CaptureOutcome =
  | { readonly captured: EntryId }
  | { readonly declined: 'account_not_usable' | 'hold_expired' | 'hold_not_active' }

const Row = z.object({ outcome: z.enum(['captured', 'account_not_usable', 'hold_expired', 'hold_not_active']) })

/** Posts exactly what was held to the creditor, once. When it declines, nothing has changed: the hold still stands. Throws for a payment that says otherwise. */
export async function captureHold(tx: Transaction, capture: Capture): Promise<CaptureOutcome> {
  const entryId = newEntryId()
  const { outcome } = await tx.one(sql.type(Row)`
    select ledger.capture_hold(
      ${capture.holdId}, ${entryId}, ${capture.creditorAccountId}, ${capture.paymentId}, ${capture.description}, ${capture.reference},
      ${partyValue(capture.creditor)}, ${sql.timestamp(capture.now)}) as outcome`)
  return outcome === 'captured' ? { captured: entryId } : { declined: outcome }
}
