import { createHash } from 'node:crypto'
import type { AccessDecision } from '../access/decide-access.ts'
import type { AccountId } from '../ids.ts'
import type { Money } from '../money.ts'
import { refuse } from '../refusal.ts'

/** The first moment belongs to it, the last no more: what one ends with, the next begins with. */
export type StatementPeriod = { readonly from: Date; readonly before: Date }

/** What was booked in a period: opening, and credits, less debits, come to closing. */
export type StatementTotals = {
  readonly opening: Money
  readonly closing: Money
  readonly credits: Money
  /** Not below zero. */
  readonly debits: Money
  readonly transactions: number
}

/** A month of an account: by its time of booking, in UTC. Once there is one, it never changes. */
export type Statement = StatementPeriod & {
  readonly id: StatementId
  readonly accountId: AccountId
  /** `2026-11` */
  readonly month: string
  readonly createdAt: Date
  /** ReadStatementsDetail */
  readonly totals: StatementTotals | undefined
}

export type StatementId = `stm_${string}`

/**
 * After the end of its month a statement waits so long: a process whose clock is behind, or a copy of the database that lags, may
 * still book into the month, or lack what was.
 */
export const statementSettlesInMs = 60 * 60 * 1000

const monthOf = (date: Date): string => date.toISOString().slice(0, 7)
const startOf = (month: string): Date => new Date(`${month}-01T00:00:00.000Z`)
function monthAfter(month: string): string {
  const start = startOf(month)
  return monthOf(new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + 1)))
}

/** Says of which month it is, and holds for that account alone. The same as long as there is the account. */
export function statementId(accountId: AccountId, month: string): StatementId {
  const hash = createHash('sha256').update(`statement of ${accountId} for ${month}`).digest('hex')
  return `stm_${month.replace('-', '')}${hash.slice(0, 26)}`
}

/** @throws {Refusal} `statement_not_found`: it is none, or of another account. */
export function monthOfStatement(accountId: AccountId, id: string): string {
  const [, year, month] = /^stm_(\d{4})(0[1-9]|1[0-2])[0-9a-f]{26}$/.exec(id) ?? []
  if (statementId(accountId, `${year}-${month}`) !== id) refuse('statement_not_found', 'no such statement of this account')
  return `${year}-${month}`
}

export const periodOf = (month: string): StatementPeriod => ({ from: startOf(month), before: startOf(monthAfter(month)) })

/** The months that have a statement, newest first: whole ones since the account was opened, wholly within the window (AIS-09). */
export function statementMonths(openedAt: Date, { window }: AccessDecision, now: Date): string[] {
  const months: string[] = []
  for (let month = monthOf(openedAt); ; month = monthAfter(month)) {
    const { from, before } = periodOf(month)
    if (before.getTime() + statementSettlesInMs > now.getTime()) return months.toReversed()
    if ((window.from ?? from) <= from && (window.to ?? before).getTime() >= before.getTime() - 1) months.push(month)
  }
}

/** @throws {Refusal} `permission_missing`. */
export function demandStatements({ permissions }: AccessDecision): void {
  if (!permissions.has('ReadStatementsBasic') && !permissions.has('ReadStatementsDetail'))
    refuse('permission_missing', 'the consent does not include statements')
}
