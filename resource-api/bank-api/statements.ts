import { drawStatement } from '@bankside/bank/accounts/draw-statement'
import { getPastBalance } from '@bankside/bank/accounts/get-past-balance'
import { listStatementTransactions } from '@bankside/bank/accounts/list-statement-transactions'
import { getStatement, listStatements, statementsPerPageLimit } from '@bankside/bank/accounts/list-statements'
import type { Statement, StatementTotals } from '@bankside/bank/accounts/statement'
import type { Call, Reply } from '../api.ts'
import { dateProblem, parseDateTime } from '../dates.ts'
import { readQuery } from '../query-parameters.ts'
import { throwViolations } from '../request-refusal.ts'
import { cents, timestamp } from './reply.ts'
import { readLimited, renderTransaction } from './transactions.ts'

/** GET /accounts/{accountId}/balance?at: what was booked up to an instant. */
export async function readPastBalance({ tx, access, parameters, query, now }: Call): Promise<Reply> {
  const { at = now } = readDates(query, ['at'])
  const { accountId, posted } = await getPastBalance(tx, access, { accountId: parameters['accountId'] ?? '', at, now })
  return { status: 200, body: { account_id: accountId, at: timestamp(at), currency: posted.currency, current_cents: cents(posted) } }
}

/** GET /accounts/{accountId}/statement?from&before: any period, as of now. */
export async function readDrawnStatement({ history, access, parameters, query, now }: Call): Promise<Reply> {
  const { from, before = now } = readDates(query, ['from', 'before'])
  if (from === undefined) return throwMissing('from')
  const { accountId, totals } = await drawStatement(history, access, { accountId: parameters['accountId'] ?? '', from, before })
  return { status: 200, body: { account_id: accountId, from: timestamp(from), before: timestamp(before), ...renderTotals(totals) } }
}

/** GET /accounts/{accountId}/statements: a month each, newest first. */
export async function readStatements({ history, access, parameters, query, now }: Call): Promise<Reply> {
  const reader = readQuery(query)
  const after = reader.text('cursor')
  reader.end()
  const asked = { accountId: parameters['accountId'] ?? '', after, limit: statementsPerPageLimit, now }
  const { statements, next } = await listStatements(history, access, asked)
  const paging = { limit: statementsPerPageLimit, has_more: next !== undefined, next_cursor: next }
  return { status: 200, body: { statements: statements.map(renderStatement), paging } }
}

/** GET /accounts/{accountId}/statements/{statementId} */
export async function readStatement(call: Call): Promise<Reply> {
  return { status: 200, body: renderStatement(await getStatement(call.history, call.access, nameIn(call))) }
}

/** GET /accounts/{accountId}/statements/{statementId}/transactions */
export async function readStatementTransactions(call: Call): Promise<Reply> {
  const reader = readQuery(call.query)
  const [after, limit] = [reader.text('cursor'), readLimited(reader, 'limit')]
  reader.end()
  const { transactions, next } = await listStatementTransactions(call.history, call.access, { ...nameIn(call), after, limit })
  const paging = { limit, has_more: next !== undefined, next_cursor: next }
  return { status: 200, body: { transactions: transactions.map(renderTransaction), paging } }
}

function nameIn({ parameters, now }: Call) {
  const { accountId = '', statementId = '' } = parameters
  return { accountId, statementId, now }
}

function readDates<Name extends string>(query: URLSearchParams, names: readonly Name[]): Partial<Record<Name, Date>> {
  const reader = readQuery(query)
  const dates: Partial<Record<Name, Date>> = {}
  for (const name of names) {
    const date = reader.parsed(name, parseDateTime, dateProblem)
    if (date !== undefined) dates[name] = date
  }
  reader.end()
  return dates
}

function throwMissing(name: string): never {
  throwViolations([['parameter_invalid', name, 'must be given']])
  throw new Error('a violation was not thrown')
}

function renderStatement({ id, accountId, month, from, before, createdAt, totals }: Statement): object {
  return {
    ...{ id, account_id: accountId, month, from: timestamp(from), before: timestamp(before), created_at: timestamp(createdAt) },
    ...(totals && renderTotals(totals)),
  }
}

const renderTotals = ({ opening, closing, credits, debits, transactions }: StatementTotals): object => ({
  currency: opening.currency,
  opening_cents: cents(opening),
  credits_cents: cents(credits),
  debits_cents: cents(debits),
  closing_cents: cents(closing),
  transaction_count: transactions,
})
