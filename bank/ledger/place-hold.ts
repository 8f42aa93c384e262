import { type SqlFragment, sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type AccountId, type HoldId, newHoldId } from '../ids.ts'
import type { Money } from '../money.ts'

export type Hold = { readonly accountId: AccountId; readonly amount: Money; readonly expiresAt: Date; readonly now: Date }
export type HoldOutcome = { readonly held: HoldId } | { readonly declined: 'insufficient_funds' | 'account_not_usable' }

export const holdOutcome = z.enum(['held', 'insufficient_funds', 'account_not_usable'])
const Row = z.object({ outcome: holdOutcome })

/** Sets funds aside: they count against what is available until the hold is captured, released or expired. */
export async function placeHold(tx: Transaction, hold: Hold): Promise<HoldOutcome> {
  const holdId = newHoldId(hold.now)
  const { outcome } = await tx.one(sql.type(Row)`select ${placingHold(holdId, hold)} as outcome`)
  return outcome === 'held' ? { held: holdId } : { declined: outcome }
}

/** The same as an expression, for a statement that finds out first whether to. Its value is one of {@link holdOutcome}. */
export function placingHold(holdId: HoldId, { accountId, amount, expiresAt, now }: Hold): SqlFragment {
  return sql.fragment`ledger.place_hold(
    ${holdId}, ${accountId}, ${amount.minor}, ${amount.currency}, ${sql.timestamp(now)}, ${sql.timestamp(expiresAt)})`
}
