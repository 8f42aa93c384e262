import { leastRecentlyUsed } from '@bankside/service-kit/least-recently-used'
import { type SqlFragment, sql, sqlState, type Transaction, violatedConstraint, withValues } from '@bankside/service-kit/postgres'
import { retryableStates } from '@bankside/service-kit/postgres-errors'
import { type AuditRecord, insertRecords } from '../audit/append-audit.ts'
import { insertEvents, type NewEvent } from './record-event.ts'

/** What an act writes, and what it tells of that. */
export type Change = {
  /** Each an insert, update or delete, of rows that none of the others touches. */
  readonly statements: readonly SqlFragment[]
  readonly events: readonly NewEvent[]
  readonly records: readonly AuditRecord[]
}

/** Carries out changes and tells of them, in one round trip: PostgreSQL runs the statements as one, in no order among them. */
export async function carryOut(tx: Transaction, ...changes: readonly Change[]): Promise<void> {
  const statements = statementsOf(changes)
  await tx.query(queryOf('all', statements, () => sql.unsafe`with ${parts(statements)} select`))
}

/**
 * The same on condition of others, without a transaction around it: all of it, or nothing where one of the conditions finds no row.
 *
 * @param conditions Each an insert, update or delete of one row, which it returns. They are tried, and take their locks, in this order.
 * @returns false when nothing happened: also when PostgreSQL would have it tried again.
 */
export async function carryOutIf(tx: Transaction, conditions: readonly SqlFragment[], ...changes: readonly Change[]): Promise<boolean> {
  const statements = [...conditions, ...statementsOf(changes)]
  const putTogether = () => {
    const counts = conditions.map((_, index) => sql.fragment`(select count(*) from ${sql.identifier([partName(index)])})`)
    const done = sql.join(counts, sql.fragment` + `)
    return sql.unsafe`with ${parts(statements)} select events.all_or_nothing(${done}, ${sql.literalValue(`${conditions.length}`)}::bigint)`
  }
  try {
    await tx.query(queryOf(`${conditions.length} of all`, statements, putTogether))
    return true
  } catch (error) {
    if (violatedConstraint(error) === 'all_or_nothing' || retryableStates.has(sqlState(error) ?? '')) return false
    throw error
  }
}

const statementsOf = (changes: readonly Change[]): readonly SqlFragment[] => [
  ...changes.flatMap((change) => change.statements),
  insertEvents(changes.flatMap(({ events }) => events)),
  insertRecords(changes.flatMap(({ records }) => records)),
]

type Query = ReturnType<typeof sql.unsafe>
/** Several times as many as there are acts. */
const known = leastRecentlyUsed<string, Query>(500)

/** Of the same statements the query is put together once: with so many parts that costs more than the rest of it. */
function queryOf(kind: string, statements: readonly SqlFragment[], putTogether: () => Query): Query {
  const text = `${kind}: ${statements.map((statement) => statement.sql).join('; ')}`
  const found = known.get(text)
  if (found !== undefined) {
    const values = statements.flatMap((statement) => statement.values)
    return withValues(found, values)
  }
  const query = putTogether()
  known.set(text, query)
  return query
}

const partName = (index: number): string => `part_${index + 1}`

function parts(statements: readonly SqlFragment[]): SqlFragment {
  const named = statements.map((statement, index) => sql.fragment`${sql.identifier([partName(index)])} as (${statement})`)
  return sql.fragment`${sql.join(named, sql.fragment`, `)}`
}
