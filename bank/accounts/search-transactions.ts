import type { History } from '@bankside/service-kit/history'
import { onceItHolds } from '@bankside/service-kit/history'
import { sql, z } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import { refuse } from '../refusal.ts'
import { permittedAccount } from './account.ts'
import {
  beyond,
  checkPageQuery,
  cursorFrom,
  inPeriod,
  postingAt,
  type TransactionPage,
  type TransactionQuery,
} from './list-transactions.ts'
import { toTransaction, transactionColumns, transactionRow } from './transaction.ts'
import { parseCursor } from './transaction-cursor.ts'
import { visibleOnly } from './visible-postings.ts'

export type TransactionSearch = Omit<TransactionQuery, 'page'> & {
  /** In the reference or the description, whatever the case. */
  readonly reference?: string | undefined
  /** In the name or the number of whoever is on the other side. */
  readonly counterparty?: string | undefined
  /** In minor units, whichever way the money went; both ends included. */
  readonly least?: bigint | undefined
  readonly most?: bigint | undefined
}

export const searchedTextLimit = 140
/**
 * So many postings of the account are looked through for one answer, newest first; its cursor goes on from there. Without an index
 * for each thing that can be looked for, which every transfer would pay for, no search costs more than this.
 */
export const postingsSearchedAtMost = 5_000

/**
 * What of an account's transactions fits. There may be more although an answer holds few, or none: `next` says so.
 *
 * @throws {Refusal} `permission_missing`, `account_not_permitted`, `date_invalid`, `field_invalid`.
 */
export async function searchTransactions(history: History, access: AccessDecision, search: TransactionSearch): Promise<TransactionPage> {
  const accountId = permittedAccount(access, search.accountId)
  checkPageQuery(search)
  const { limit, after } = search
  const scope = { accountId, clientId: access.clientId }
  const cursor = after === undefined ? undefined : parseCursor(scope, after)
  if (cursor?.direction === 'newer') refuse('field_invalid', 'not a page of this list', { path: 'cursor' })
  const place = cursor === undefined ? sql.fragment`` : beyond(cursor)
  const visible = sql.fragment`${visibleOnly(access, inPeriod(accountId, search))} ${place}`
  const read = sql.type(transactionRow)`
    select ${transactionColumns}
    from (
      select p.* from ledger.posting p where ${visible} order by p.booked_at desc, p.posting_number desc limit ${postingsSearchedAtMost}
    ) p join ledger.entry e on e.entry_id = p.entry_id
    where ${fits(search, access)}
    order by p.booked_at desc, p.posting_number desc limit ${limit + 1}`
  const rows = await history.any(cursor === undefined ? read : onceItHolds(read, postingAt(accountId, cursor)))
  const found = rows.slice(0, limit)
  const last = rows.length > limit ? found.at(-1) : await lastSearched(history, visible)
  return {
    transactions: found.map((row) => toTransaction(row, access)),
    next: cursorFrom(scope, 'older', last),
    previous: undefined,
    total: undefined,
  }
}

const placeRow = z.object({ booked_at: z.date(), posting_number: z.bigint() })

/** Where a search ended that did not come to the end of the account. */
async function lastSearched(history: History, visible: ReturnType<typeof sql.fragment>) {
  const [row] = await history.any(sql.type(placeRow)`
    select booked_at, posting_number from ledger.posting p where ${visible}
    order by booked_at desc, posting_number desc limit 1 offset ${postingsSearchedAtMost - 1}`)
  return row
}

/** Nothing is found by what is not shown: a decision without details cannot feel for them (AIS-07). */
function fits({ reference, counterparty, least, most }: TransactionSearch, { permissions }: AccessDecision) {
  const detail = permissions.has('ReadTransactionsDetail')
  if (counterparty !== undefined && !detail) refuse('permission_missing', 'the consent does not include ReadTransactionsDetail')
  if (least !== undefined && most !== undefined && least > most)
    refuse('field_invalid', 'the least amount is more than the most', { path: 'min_amount_cents' })
  const [words, party] = [patternOf(reference, 'reference'), patternOf(counterparty, 'counterparty')]
  const conditions = [
    sql.fragment`true`,
    ...(words === undefined
      ? []
      : [detail ? sql.fragment`(e.reference ilike ${words} or e.description ilike ${words})` : sql.fragment`e.reference ilike ${words}`]),
    ...(party === undefined ? [] : [sql.fragment`(p.counterparty_name ilike ${party} or p.counterparty_identification ilike ${party})`]),
    ...(least === undefined ? [] : [sql.fragment`abs(p.amount_minor) >= ${least.toString()}::numeric`]),
    ...(most === undefined ? [] : [sql.fragment`abs(p.amount_minor) <= ${most.toString()}::numeric`]),
  ]
  return sql.join(conditions, sql.fragment` and `)
}

/** Literally what was asked for, somewhere in the text. */
function patternOf(text: string | undefined, path: string): string | undefined {
  if (text === undefined) return undefined
  if (text === '' || text.length > searchedTextLimit) refuse('field_invalid', `from 1 to ${searchedTextLimit} characters`, { path })
  return `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`
}
