import { type History, thatExists } from '@bankside/service-kit/history'
import { sql, z } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import type { AccountId } from '../ids.ts'
import { type Currency, isCurrency } from '../money.ts'
import { refuse } from '../refusal.ts'
import { permittedAccount } from './account.ts'
import { demandStatements, type StatementPeriod, type StatementTotals } from './statement.ts'
import { totalsOf } from './statement-totals.ts'

const currencyRow = z.object({ currency: z.custom<Currency>(isCurrency) })

/**
 * What was booked in any period, as of now. What is booked while a period lasts still changes it: a month's {@link Statement}
 * does not change.
 *
 * @throws {Refusal} `permission_missing` (without ReadStatementsDetail there is nothing to tell), `account_not_permitted`,
 *   `date_invalid`: it ends before it begins, or goes beyond the window of the decision.
 */
export async function drawStatement(
  history: History,
  access: AccessDecision,
  { accountId: named, from, before }: StatementPeriod & { readonly accountId: string },
): Promise<StatementPeriod & { readonly accountId: AccountId; readonly totals: StatementTotals }> {
  demandStatements(access)
  if (!access.permissions.has('ReadStatementsDetail')) refuse('permission_missing', 'the consent does not include ReadStatementsDetail')
  const accountId = permittedAccount(access, named)
  if (from > before) refuse('date_invalid', 'the period ends before it begins', { path: 'from' })
  const { window } = access
  if ((window.from ?? from) > from || (window.to ?? before).getTime() < before.getTime() - 1)
    refuse('date_invalid', 'goes beyond the period of the consent', { path: 'from' })
  const [account] = await history.any(
    thatExists(sql.type(currencyRow)`select currency from ledger.account where account_id = ${accountId}`),
  )
  if (account === undefined) refuse('account_not_permitted', 'the account is not open to this call')
  const [totals] = await totalsOf(history, accountId, [{ from, before }], account.currency)
  return { accountId, from, before, totals: totals as StatementTotals }
}
