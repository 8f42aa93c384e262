import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { HoldId } from '../ids.ts'

export type Release = { readonly holdId: HoldId; readonly as: 'released' | 'expired'; readonly now: Date }

const Row = z.object({ outcome: z.enum(['released', 'expired', 'hold_not_active', 'hold_not_expired']) })

/** Gives held funds back. False when there is nothing to give back: the hold is spent, or does not expire yet. */
export async function releaseHold(tx: Transaction, { holdId, as, now }: Release): Promise<boolean> {
  const { outcome } = await tx.one(sql.type(Row)`select ledger.release_hold(${holdId}, ${as}, ${sql.timestamp(now)}) as outcome`)
  return outcome === as
}
