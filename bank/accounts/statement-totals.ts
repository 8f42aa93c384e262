import type { History } from '@bankside/service-kit/history'
import { sql, z } from '@bankside/service-kit/postgres'
import type { AccountId } from '../ids.ts'
import type { Currency, Money } from '../money.ts'
import { balanceUpTo } from './get-past-balance.ts'
import type { StatementPeriod, StatementTotals } from './statement.ts'

const totalsRow = z.object({
  opening_minor: z.bigint(),
  closing_minor: z.bigint(),
  credits_minor: z.bigint(),
  debits_minor: z.bigint(),
  transactions: z.bigint(),
})

/**
 * What was booked in each of some periods, all as of one moment, from the index alone.
 *
 * @throws {Error} when a period does not come to its closing balance: then the books do not agree, and nobody is shown such a
 *   statement.
 */
export async function totalsOf(
  history: History,
  accountId: AccountId,
  periods: readonly StatementPeriod[],
  currency: Currency,
): Promise<readonly StatementTotals[]> {
  if (periods.length === 0) return []
  const account = sql.fragment`${accountId}`
  const rows = await history.any(sql.type(totalsRow)`
    select
      coalesce(${balanceUpTo(account, sql.fragment`booked_at < period.starts_at`)}, 0) as opening_minor,
      coalesce(${balanceUpTo(account, sql.fragment`booked_at < period.ends_at`)}, 0) as closing_minor,
      moved.credits_minor, moved.debits_minor, moved.transactions
    from unnest(${sql.array(
      periods.map(({ from }) => from.toISOString()),
      'timestamptz',
    )},
        ${sql.array(
          periods.map(({ before }) => before.toISOString()),
          'timestamptz',
        )}) with ordinality as period (starts_at, ends_at, place)
      cross join lateral (
        select
          coalesce(sum(amount_minor) filter (where amount_minor > 0), 0) as credits_minor,
          coalesce(-sum(amount_minor) filter (where amount_minor < 0), 0) as debits_minor,
          count(*) as transactions
        from ledger.posting where account_id = ${accountId} and booked_at >= period.starts_at and booked_at < period.ends_at) moved
    order by period.place`)
  return rows.map((row) => {
    if (row.opening_minor + row.credits_minor - row.debits_minor !== row.closing_minor)
      throw new Error(`a statement of ${accountId} does not come to its closing balance`)
    const money = (minor: bigint): Money => ({ minor, currency })
    return {
      opening: money(row.opening_minor),
      closing: money(row.closing_minor),
      credits: money(row.credits_minor),
      debits: money(row.debits_minor),
      transactions: Number(row.transactions),
    }
  })
}
