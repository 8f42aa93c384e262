import { type SqlFragment, sql, type Transaction } from '@bankside/service-kit/postgres'
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
  const statements = [
    ...changes.flatMap((change) => change.statements),
    insertEvents(changes.flatMap(({ events }) => events)),
    insertRecords(changes.flatMap(({ records }) => records)),
  ]
  const named = statements.map((statement, index) => sql.fragment`${sql.identifier([`part_${index + 1}`])} as (${statement})`)
  await tx.query(sql.unsafe`with ${sql.join(named, sql.fragment`, `)} select`)
}
