import { type History, thatExists } from '@bankside/service-kit/history'
import { sql, z } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import type { AccountId } from '../ids.ts'
import { type Currency, isCurrency } from '../money.ts'
import { refuse } from '../refusal.ts'
import { permittedAccount } from './account.ts'
import {
  demandStatements,
  monthOfStatement,
  periodOf,
  type Statement,
  statementId,
  statementMonths,
  statementSettlesInMs,
} from './statement.ts'
import { totalsOf } from './statement-totals.ts'

export type StatementQuery = {
  readonly accountId: string
  /** Those that begin at or after `from` and end at or before `to` (AIS-10). */
  readonly from?: Date | undefined
  readonly to?: Date | undefined
  readonly limit: number
  /** Id of the last statement of an earlier answer. */
  readonly after?: string | undefined
  readonly now: Date
}

export type StatementPage = {
  /** Newest first. */
  readonly statements: readonly Statement[]
  /** Leads to older ones, if there are any. */
  readonly next: string | undefined
}

export const statementsPerPageLimit = 24

/**
 * The statements of an account, as far as a decision opens them.
 *
 * @throws {Refusal} `permission_missing`, `account_not_permitted`, `date_invalid`, `field_invalid`.
 */
export async function listStatements(history: History, access: AccessDecision, query: StatementQuery): Promise<StatementPage> {
  demandStatements(access)
  const accountId = permittedAccount(access, query.accountId)
  const { from, to, limit, after, now } = query
  if (from !== undefined && to !== undefined && from > to)
    refuse('date_invalid', 'the period ends before it begins', { path: 'fromStatementDateTime' })
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > statementsPerPageLimit)
    refuse('field_invalid', `from 1 to ${statementsPerPageLimit}`, { path: 'limit' })
  const shownBefore = after === undefined ? undefined : monthOfPage(accountId, after)
  const account = await readAccount(history, accountId)
  const months = statementMonths(account.opened_at, access, now).filter((month) => {
    const period = periodOf(month)
    return (
      (shownBefore === undefined || month < shownBefore) &&
      (from === undefined || period.from >= from) &&
      (to === undefined || period.before.getTime() - 1 <= to.getTime())
    )
  })
  const shown = months.slice(0, limit)
  const last = shown.at(-1)
  return {
    statements: await readStatements(history, access, accountId, shown, account.currency),
    next: last !== undefined && months.length > limit ? statementId(accountId, last) : undefined,
  }
}

export type StatementName = { readonly accountId: string; readonly statementId: string; readonly now: Date }

/**
 * One statement.
 *
 * @throws {Refusal} `permission_missing`, `account_not_permitted`, `statement_not_found`.
 */
export async function getStatement(history: History, access: AccessDecision, name: StatementName): Promise<Statement> {
  const { accountId, month, currency } = await findStatement(history, access, name)
  const [statement] = await readStatements(history, access, accountId, [month], currency)
  return statement as Statement
}

type FoundStatement = { readonly accountId: AccountId; readonly month: string; readonly currency: Currency }

/** That there is one, and that the decision opens it. @throws {Refusal} as {@link getStatement}. */
export async function findStatement(
  history: History,
  access: AccessDecision,
  { accountId: named, statementId: id, now }: StatementName,
): Promise<FoundStatement> {
  demandStatements(access)
  const accountId = permittedAccount(access, named)
  const month = monthOfStatement(accountId, id)
  const account = await readAccount(history, accountId)
  if (!statementMonths(account.opened_at, access, now).includes(month)) refuse('statement_not_found', 'no such statement of this account')
  return { accountId, month, currency: account.currency }
}

/** Whoever sends something else than what they were given is told so as of any page (RW-D-10). */
function monthOfPage(accountId: AccountId, after: string): string {
  try {
    return monthOfStatement(accountId, after)
  } catch {
    return refuse('field_invalid', 'not a page of this list', { path: 'page' })
  }
}

const accountRow = z.object({ currency: z.custom<Currency>(isCurrency), opened_at: z.date() })

async function readAccount(history: History, accountId: AccountId): Promise<z.infer<typeof accountRow>> {
  const [row] = await history.any(
    thatExists(sql.type(accountRow)`select currency, opened_at from ledger.account where account_id = ${accountId}`),
  )
  return row ?? refuse('account_not_permitted', 'the account is not open to this call')
}

async function readStatements(
  history: History,
  { permissions }: AccessDecision,
  accountId: AccountId,
  months: readonly string[],
  currency: Currency,
): Promise<readonly Statement[]> {
  const periods = months.map(periodOf)
  const totals = permissions.has('ReadStatementsDetail') ? await totalsOf(history, accountId, periods, currency) : []
  return months.map((month, index) => {
    const { from, before } = periodOf(month)
    const createdAt = new Date(before.getTime() + statementSettlesInMs)
    return { id: statementId(accountId, month), accountId, month, from, before, createdAt, totals: totals[index] }
  })
}
