import type { Transaction } from '@bankside/service-kit/postgres'
import { sql, z } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import type { AccountId } from '../ids.ts'
import { type Currency, isCurrency, type Money } from '../money.ts'
import { refuse } from '../refusal.ts'
import { permittedAccount } from './account.ts'

export type PastBalance = { readonly accountId: AccountId; readonly at: Date; readonly posted: Money }

const pastBalanceRow = z.object({ currency: z.custom<Currency>(isCurrency), balance_minor: z.bigint() })

/**
 * What was booked up to an instant, and what was booked at it: each posting keeps the balance after it, so one look into an
 * index says it. Before the first posting it is nothing.
 *
 * @throws {Refusal} `permission_missing`, `account_not_permitted`, `date_invalid`: it is yet to come, or lies outside the window
 *   of the decision, where it would tell of transactions that are not shown.
 */
export async function getPastBalance(
  tx: Transaction,
  access: AccessDecision,
  { accountId, at, now }: { readonly accountId: string; readonly at: Date; readonly now: Date },
): Promise<PastBalance> {
  if (!access.permissions.has('ReadBalances')) refuse('permission_missing', 'the consent does not include ReadBalances')
  const id = permittedAccount(access, accountId)
  if (at > now) refuse('date_invalid', 'lies in the future', { path: 'at' })
  const { from = at, to = at } = access.window
  if (at < from || at > to) refuse('date_invalid', 'lies outside the period of the consent', { path: 'at' })
  const row = await tx.one(sql.type(pastBalanceRow)`
    select a.currency, coalesce(${balanceUpTo(sql.fragment`a.account_id`, sql.fragment`booked_at <= ${sql.timestamp(at)}`)}, 0) as balance_minor
    from ledger.account a where a.account_id = ${id}`)
  return { accountId: id, at, posted: { minor: row.balance_minor, currency: row.currency } }
}

type Fragment = ReturnType<typeof sql.fragment>

/** The balance after the last posting of which a condition is true, which must be one of `booked_at`. Null when there is none. */
export const balanceUpTo = (accountId: Fragment, condition: Fragment): Fragment => sql.fragment`(
  select balance_minor from ledger.posting where account_id = ${accountId} and ${condition}
  order by booked_at desc, posting_number desc limit 1)`
