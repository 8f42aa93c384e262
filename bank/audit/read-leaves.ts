import { type SqlFragment, sql, type Transaction } from '@bankside/service-kit/postgres'
import { isText, isWhole, orNull, type RowIn, rowShape } from '@bankside/service-kit/row-shape'
import type { Columns, LeafRows, LeafTable } from './leaf.ts'

/**
 * The only place that knows the columns of what is sealed. Written as text, so that no number or time loses a digit on its way;
 * selected in the order of their names, in which they are hashed.
 */
const time = (column: SqlFragment) => sql.fragment`to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

const optionalText = orNull(isText)

const entryRow = rowShape({
  actor: optionalText,
  booked_at: isText,
  currency: optionalText,
  description: isText,
  entry_id: isText,
  /** The row of ledger.exchange, where there is one. */
  exchange: optionalText,
  hold_id: optionalText,
  interaction_id: optionalText,
  kind: isText,
  payment_id: optionalText,
  reference: isText,
  reverses: optionalText,
  value_date: isText,
  written_in: isWhole,
})
const entryColumns = (exchange: SqlFragment) => sql.fragment`
  e.actor, ${time(sql.fragment`e.booked_at`)} as booked_at, e.currency, e.description, e.entry_id, ${exchange} as exchange, e.hold_id,
  e.interaction_id, e.kind, e.payment_id, e.reference, e.reverses, to_char(e.value_date, 'YYYY-MM-DD') as value_date, e.written_in`
const exchangeOfEntry = sql.fragment`
  case e.kind when 'exchange' then (select to_jsonb(x)::text from ledger.exchange x where x.entry_id = e.entry_id) end`

const postingRow = rowShape({
  account_id: isText,
  amount_minor: isText,
  balance_minor: isText,
  booked_at: isText,
  counterparty_identification: optionalText,
  counterparty_name: isText,
  counterparty_scheme_name: optionalText,
  currency: isText,
  entry_id: isText,
  posting_number: isText,
})
const postingColumns = sql.fragment`
  p.account_id, p.amount_minor::text, p.balance_minor::text, ${time(sql.fragment`p.booked_at`)} as booked_at, p.counterparty_identification,
  p.counterparty_name, p.counterparty_scheme_name, p.currency, p.entry_id, p.posting_number::text`

const recordRow = rowShape({
  action: isText,
  actor: isText,
  details: isText,
  interaction_id: optionalText,
  occurred_at: isText,
  record_id: isText,
  subject: isText,
  written_in: isWhole,
})
const recordColumns = sql.fragment`
  r.action, r.actor, r.details::text as details, r.interaction_id, ${time(sql.fragment`r.occurred_at`)} as occurred_at, r.record_id, r.subject,
  r.written_in`

/** Leaves of a round stand in the order of their tables, then of their keys. */
export const leafTables: readonly LeafTable[] = ['ledger.entry', 'audit.record']
export type LeafPlace = { readonly table: LeafTable; readonly key: string }

export type WrittenLeaf = LeafRows & { readonly writtenIn: bigint }

export type LeafRange = {
  /** Of the transactions that wrote them. */
  readonly fromXact: bigint
  readonly beforeXact: bigint
  readonly after?: LeafPlace | undefined
  readonly upTo?: LeafPlace | undefined
  readonly limit: number
}

/** The next leaves of a range, in their order. Planned for this range each time: of a large one rows are found by key, of a small one by transaction. */
export async function readLeaves(tx: Transaction, range: LeafRange): Promise<WrittenLeaf[]> {
  await tx.query(sql.unsafe`select set_config('plan_cache_mode', ${'force_custom_plan'}, true)`)
  const leaves: WrittenLeaf[] = []
  for (const table of leafTables.slice(range.after === undefined ? 0 : leafTables.indexOf(range.after.table))) {
    const limit = range.limit - leaves.length
    if (limit > 0) leaves.push(...(await readers[table](tx, { ...range, limit })))
    if (range.upTo?.table === table) break
  }
  return leaves
}

const readers: Readonly<Record<LeafTable, (tx: Transaction, range: LeafRange) => Promise<WrittenLeaf[]>>> = {
  'ledger.entry': async (tx, range) =>
    entryLeaves(
      tx,
      await tx.any(sql.type(entryRow)`
        select ${entryColumns(exchangeOfEntry)} from ledger.entry e
        where ${within(range, 'ledger.entry', sql.fragment`e.written_in`, sql.fragment`e.entry_id`)} order by e.entry_id limit ${range.limit}`),
    ),
  'audit.record': async (tx, range) =>
    recordLeaves(
      await tx.any(sql.type(recordRow)`
        select ${recordColumns} from audit.record r
        where ${within(range, 'audit.record', sql.fragment`r.written_in`, sql.fragment`r.record_id`)} order by r.record_id limit ${range.limit}`),
    ),
}

function within({ fromXact, beforeXact, after, upTo }: LeafRange, table: LeafTable, writtenIn: SqlFragment, key: SqlFragment): SqlFragment {
  const conditions = [
    sql.fragment`${writtenIn} >= ${fromXact} and ${writtenIn} < ${beforeXact}`,
    ...(after?.table === table ? [sql.fragment`${key} > ${after.key}`] : []),
    ...(upTo?.table === table ? [sql.fragment`${key} <= ${upTo.key}`] : []),
  ]
  return sql.fragment`${sql.join(conditions, sql.fragment` and `)}`
}

/** Those of these keys that are there. */
export async function leavesOf(tx: Transaction, table: LeafTable, keys: readonly string[]): Promise<WrittenLeaf[]> {
  const wanted = sql.array([...keys], 'text')
  return table === 'ledger.entry'
    ? entryLeaves(
        tx,
        await tx.any(sql.type(entryRow)`select ${entryColumns(exchangeOfEntry)} from ledger.entry e where e.entry_id = any (${wanted})`),
      )
    : recordLeaves(await tx.any(sql.type(recordRow)`select ${recordColumns} from audit.record r where r.record_id = any (${wanted})`))
}

/** All of a payment, and how the log of now began if it follows another: by functions that give nothing else away (0158). */
export async function leavesToProve(tx: Transaction, paymentId: string): Promise<WrittenLeaf[]> {
  const entries = await tx.any(sql.type(entryRow)`
    select ${entryColumns(sql.fragment`null::text`)} from ledger.entries_to_prove(${paymentId}) e`)
  const postings = await tx.any(sql.type(postingRow)`
    select ${postingColumns} from ledger.postings_to_prove(${paymentId}) p order by p.entry_id, p.account_id, p.posting_number`)
  const records = await tx.any(sql.type(recordRow)`select ${recordColumns} from audit.records_to_prove(${paymentId}) r`)
  return [...recordLeaves(records), ...withPostings(entries, postings)]
}

async function entryLeaves(tx: Transaction, rows: readonly RowIn<typeof entryRow>[]): Promise<WrittenLeaf[]> {
  if (rows.length === 0) return []
  const keys = rows.map(({ entry_id }) => entry_id)
  const postings = await tx.any(sql.type(postingRow)`
    select ${postingColumns} from ledger.posting p where p.entry_id = any (${sql.array(keys, 'text')})
    order by p.entry_id, p.account_id, p.posting_number`)
  return withPostings(rows, postings)
}

function withPostings(rows: readonly RowIn<typeof entryRow>[], postings: readonly RowIn<typeof postingRow>[]): WrittenLeaf[] {
  const byEntry = Map.groupBy(postings, ({ entry_id }) => entry_id)
  return rows.map((read) => {
    const own = (byEntry.get(read.entry_id) ?? []).map(({ entry_id: _, ...posting }): Columns => posting)
    return { table: 'ledger.entry', key: read.entry_id, row: columnsOf(read), postings: own, writtenIn: read.written_in }
  })
}

/** A payment's entry says nothing of who asked for it, nor does one from before there were such columns: its leaf is what it always was. */
function columnsOf({ written_in: _, ...row }: RowIn<typeof entryRow>): Columns {
  if (row.actor !== null || row.interaction_id !== null) return row
  const { actor, interaction_id, ...without } = row
  return without
}

const recordLeaves = (rows: readonly RowIn<typeof recordRow>[]): WrittenLeaf[] =>
  rows.map(({ written_in, ...row }) => ({ table: 'audit.record', key: row.record_id, row, writtenIn: written_in }))
