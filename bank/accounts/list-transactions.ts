import { type History, onceItHolds, thatExists } from '@bankside/service-kit/history'
import { sql, z } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import type { AccountId } from '../ids.ts'
import { refuse } from '../refusal.ts'
import { permittedAccount } from './account.ts'
import { type Transaction, type TransactionRow, toTransaction, transactionRow } from './transaction.ts'
import { type CursorScope, formatCursor, parseCursor, type TransactionCursor } from './transaction-cursor.ts'
import { visiblePostings } from './visible-postings.ts'

export type TransactionQuery = {
  readonly accountId: string
  /** By booking time, both ends included. Narrows the decision's own window, never widens it. */
  readonly from?: Date | undefined
  readonly to?: Date | undefined
  /** The same, but the moment itself no longer belongs to it. */
  readonly before?: Date | undefined
  readonly limit: number
  /** A cursor of an earlier answer… */
  readonly after?: string | undefined
  /** …or a page number from 1. */
  readonly page?: number | undefined
}

export type TransactionPage = {
  /** Newest first. */
  readonly transactions: readonly Transaction[]
  /** Cursor towards older transactions, if there are any. */
  readonly next: string | undefined
  /** Cursor towards newer ones. */
  readonly previous: string | undefined
  /** How many the account has in all, when nothing is filtered. */
  readonly total: number | undefined
}

export const transactionsPerPageLimit = 1000
/** Pages are counted through by the database: further down, cursors are the way. */
export const pageDepthLimit = 10_000

/**
 * Statement of an account within the decision's window and directions (AIS-08, AIS-09, AIS-10).
 *
 * @throws {Refusal} `permission_missing`, `account_not_permitted`, `date_invalid`, `field_invalid`.
 */
export async function listTransactions(history: History, access: AccessDecision, query: TransactionQuery): Promise<TransactionPage> {
  const accountId = permittedAccount(access, query.accountId)
  checkPageQuery(query)
  const { limit, page, after } = query
  if (page !== undefined) return numberedPage(history, access, accountId, query, page)

  const scope = { accountId, clientId: access.clientId }
  const cursor = after === undefined ? undefined : parseCursor(scope, after)
  const newer = cursor?.direction === 'newer'
  const read = sql.type(transactionRow)`
    ${visible(access, accountId, query)} ${cursor ? beyond(cursor) : sql.fragment``}
    ${newer ? sql.fragment`order by p.booked_at, p.posting_number` : sql.fragment`order by p.booked_at desc, p.posting_number desc`}
    limit ${limit + 1}`
  const rows = await history.any(cursor === undefined ? read : onceItHolds(read, postingAt(accountId, cursor)))
  const found = rows.slice(0, limit)
  const newestFirst = newer ? found.toReversed() : found
  const more = rows.length > limit
  return {
    transactions: newestFirst.map((row) => toTransaction(row, access)),
    next: newer || more ? cursorFrom(scope, 'older', newestFirst.at(-1)) : undefined,
    previous: newer
      ? more
        ? cursorFrom(scope, 'newer', newestFirst[0])
        : undefined
      : cursor && cursorFrom(scope, 'newer', newestFirst[0]),
    total: undefined,
  }
}

/** The bank's own API counts pages. The order is the same, so the union of its pages is that of the cursors (NAT-A7). */
async function numberedPage(
  history: History,
  access: AccessDecision,
  accountId: AccountId,
  query: TransactionQuery,
  page: number,
): Promise<TransactionPage> {
  if (!Number.isSafeInteger(page) || page < 1) refuse('field_invalid', 'a whole number from 1', { path: 'page' })
  const [{ posting_count: postings } = { posting_count: 0n }] = await history.any(
    thatExists(sql.type(z.object({ posting_count: z.bigint() }))`select posting_count from ledger.account where account_id = ${accountId}`),
  )
  const scope = { accountId, clientId: access.clientId }
  const offset = (page - 1) * query.limit
  const beyondTheEnd = offset >= postings
  if (!beyondTheEnd && offset > pageDepthLimit) refuse('field_invalid', 'too far back: ask for a period', { path: 'page' })
  const rows = beyondTheEnd
    ? []
    : await history.any(sql.type(transactionRow)`
        ${visible(access, accountId, query)}
        order by p.booked_at desc, p.posting_number desc limit ${query.limit + 1} offset ${offset}`)
  const found = rows.slice(0, query.limit)
  return {
    transactions: found.map((row) => toTransaction(row, access)),
    next: rows.length > query.limit ? cursorFrom(scope, 'older', found.at(-1)) : undefined,
    previous: page > 1 ? cursorFrom(scope, 'newer', found[0]) : undefined,
    total: isWhole(access, query) ? Number(postings) : undefined,
  }
}

/** @throws {Refusal} `date_invalid`, `field_invalid`. */
export function checkPageQuery({ from, to, before, limit }: Period & Pick<TransactionQuery, 'limit'>): void {
  if (from !== undefined && ((to !== undefined && from > to) || (before !== undefined && from > before)))
    refuse('date_invalid', 'the period ends before it begins', { path: 'fromBookingDateTime' })
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > transactionsPerPageLimit)
    refuse('field_invalid', `from 1 to ${transactionsPerPageLimit}`, { path: 'limit' })
}

/** The one statement that both ways of paging share. */
const visible = (access: AccessDecision, accountId: AccountId, query: TransactionQuery) =>
  visiblePostings(access, inPeriod(accountId, query))

type Period = Pick<TransactionQuery, 'from' | 'to' | 'before'>

/** Conditions over `ledger.posting` as `p`. */
export const inPeriod = (accountId: AccountId, { from, to, before }: Period) => [
  sql.fragment`p.account_id = ${accountId}`,
  ...(from === undefined ? [] : [sql.fragment`p.booked_at >= ${sql.timestamp(from)}`]),
  ...(to === undefined ? [] : [sql.fragment`p.booked_at <= ${sql.timestamp(to)}`]),
  ...(before === undefined ? [] : [sql.fragment`p.booked_at < ${sql.timestamp(before)}`]),
]

/** The one at which an earlier page ended: postings of an account are made in their order, so where it is, all before it are. */
export const postingAt = (accountId: AccountId, { bookedAt, postingNumber }: TransactionCursor) => sql.unsafe`
  select 1 from ledger.posting
  where account_id = ${accountId} and booked_at = ${sql.timestamp(bookedAt)} and posting_number = ${postingNumber.toString()}::bigint`

export function beyond({ direction, bookedAt, postingNumber }: TransactionCursor) {
  const time = sql.timestamp(bookedAt)
  const place = sql.fragment`(${time}, ${postingNumber.toString()}::bigint)`
  // The time by itself says which partitions need not be looked into.
  return direction === 'older'
    ? sql.fragment`and p.booked_at <= ${time} and (p.booked_at, p.posting_number) < ${place}`
    : sql.fragment`and p.booked_at >= ${time} and (p.booked_at, p.posting_number) > ${place}`
}

type Place = Pick<TransactionRow, 'booked_at' | 'posting_number'>

export function cursorFrom(scope: CursorScope, direction: TransactionCursor['direction'], row: Place | undefined): string | undefined {
  return row && formatCursor(scope, { direction, bookedAt: row.booked_at, postingNumber: row.posting_number })
}

function isWhole({ permissions, window }: AccessDecision, { from, to, before }: Period): boolean {
  const bothWays = permissions.has('ReadTransactionsCredits') && permissions.has('ReadTransactionsDebits')
  return bothWays && [window.from, window.to, from, to, before].every((time) => time === undefined)
}
