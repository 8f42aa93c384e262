import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type AccountId, type HoldId, newHoldId } from '../ids.ts'
import type { Money } from '../money.ts'

export type Hold = { readonly accountId: AccountId; readonly amount: Money; readonly expiresAt: Date; readonly now: Date }
export type HoldOutcome = { readonly held: HoldId } | { readonly declined: 'insufficient_funds' | 'account_not_usable' }

const Row = z.object({ outcome: z.enum(['held', 'insufficient_funds', 'account_not_usable']) })

/** Sets funds aside: they count against what is available until the hold is captured, released or expired. */
export async function placeHold(tx: Transaction, { accountId, amount, expiresAt, now }: Hold): Promise<HoldOutcome> {
  const holdId = newHoldId()
  const { outcome } = await tx.one(sql.type(Row)`
    select ledger.place_hold(
      ${holdId}, ${accountId}, ${amount.minor}, ${amount.currency}, ${sql.timestamp(now)}, ${sql.timestamp(expiresAt)}) as outcome`)
  return outcome === 'held' ? { held: holdId } : { declined: outcome }
}
