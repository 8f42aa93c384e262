import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type AccountId, type EntryId, type HoldId, newEntryId, type PaymentId } from '../ids.ts'
import type { Party } from './party.ts'

export type Capture = {
  readonly holdId: HoldId
  readonly creditorAccountId: AccountId
  /** The payment it was held for: the database compares it with everything here. Null when it was held for none. */
  readonly paymentId: PaymentId | null
  readonly description: string
  readonly reference: string
  /** Who the debtor's statement names. */
  readonly creditor: Party
}
export type CaptureOutcome =
  | { readonly captured: EntryId }
  | { readonly declined: 'account_not_usable' | 'hold_expired' | 'hold_not_active' }

const Row = z.object({
  hold_id: z.custom<HoldId>(),
  outcome: z.enum(['captured', 'account_not_usable', 'hold_expired', 'hold_not_active']),
})

/**
 * Posts exactly what was held to the creditors, once. Where it declines, nothing has changed: that hold still stands.
 * Throws, and captures nothing at all, when one of their payments says otherwise.
 */
export async function captureHolds(tx: Transaction, captures: readonly Capture[], now: Date): Promise<ReadonlyMap<HoldId, CaptureOutcome>> {
  const asked = captures.map((capture) => ({ ...capture, entryId: newEntryId(now) }))
  const entryOf = new Map(asked.map(({ holdId, entryId }) => [holdId, entryId]))
  const rows = await tx.any(sql.type(Row)`
    select hold_id, outcome from ledger.capture_holds(${sql.jsonb(asked.map(toMembers))}, ${sql.timestamp(now)})`)
  return new Map(
    rows.map(({ hold_id, outcome }) => {
      const entryId = entryOf.get(hold_id)
      if (entryId === undefined) throw new Error(`hold ${hold_id} was captured unasked`)
      return [hold_id, outcome === 'captured' ? { captured: entryId } : { declined: outcome }]
    }),
  )
}

function toMembers(capture: Capture & { readonly entryId: EntryId }) {
  return {
    hold_id: capture.holdId,
    entry_id: capture.entryId,
    creditor_account_id: capture.creditorAccountId,
    payment_id: capture.paymentId,
    description: capture.description,
    reference: capture.reference,
    creditor_name: capture.creditor.name,
    creditor_scheme_name: capture.creditor.schemeName ?? null,
    creditor_identification: capture.creditor.identification ?? null,
  }
}
