import { setTimeout as sleep } from 'node:timers/promises'
import type { QuerySqlToken } from 'slonik'
import { Counter, Gauge, type Registry } from './metrics.ts'
import type { Transaction } from './postgres.ts'
import { cancelled, sqlState } from './postgres-errors.ts'
import { openPrepared, type Prepared } from './prepared.ts'
import { queryMethods } from './query-methods.ts'
import { Unavailable } from './refusal.ts'
import { followReplica } from './replica-lag.ts'

/**
 * For what may be known a little late: what was booked, never what a decision rests on. A transaction is good for it. The other
 * way round, whatever decides, locks or writes cannot be given this: it is no transaction.
 */
export type History = Pick<Transaction, 'any'>

/**
 * @param holding Finds a row that must be there already, because what is asked follows on from it: where a replica has not come
 *   so far, the database itself is asked.
 */
export const onceItHolds = <Query extends QuerySqlToken>(query: Query, holding: QuerySqlToken): Query & Holding => ({ ...query, holding })
/** The same for a row that is known to be there. */
export const thatExists = <Query extends QuerySqlToken>(query: Query): Query & Holding => onceItHolds(query, query)
type Holding = { readonly holding: QuerySqlToken }

export type HistoryOptions = {
  readonly databaseUrl: string
  /** Of a replica of that database, by physical replication. */
  readonly readUrl?: string | undefined
  /** A replica that is further behind is not asked. */
  readonly lagAtMostMs?: number | undefined
  readonly registry: Registry
}
declare const ofHistory: unique symbol
/** Connections by which history is read, and nothing else: no transaction begins here. */
export type HistoryDatabase = History & { readonly end: () => Promise<void>; readonly [ofHistory]: true }

/** Beside those of decisions: a statement of a busy account takes its time, and nobody who decides waits behind it. */
const connections = 2
const settings = { maxConnections: connections, connectTimeoutMs: 2_000, statementTimeoutMs: 5_000 }
/** A replica that answers has said by then that the statement took too long. */
const silentAtMostMs = 6_000
const defaultLagAtMostMs = 10_000

/**
 * Reads from the replica as long as it answers and keeps up, and otherwise from the database itself, which then carries both.
 * A replica is as good for this as the database: what was decided was decided there, in the same request.
 *
 * @throws {Unavailable} by its methods, when the database does not answer either.
 */
export function openHistory({ databaseUrl, readUrl, lagAtMostMs = defaultLagAtMostMs, registry }: HistoryOptions): HistoryDatabase {
  const reads = new Counter({
    name: 'bankside_history_reads_total',
    help: 'Reads of history, by where they were answered',
    labelNames: ['from'] as const,
    registers: [registry],
  })
  const database = openPrepared(databaseUrl, settings)
  const fromDatabase: History['any'] = (query) => {
    reads.inc({ from: 'database' })
    return historyOf(database).any(query)
  }
  if (readUrl === undefined) return { any: fromDatabase, end: () => database.end() } as HistoryDatabase

  const replica = openPrepared(readUrl, { ...settings, mayBeReplica: true })
  const following = followReplica(database, replica)
  registerLag(registry, following.behindMs)
  const any: History['any'] = async (query: Parameters<History['any']>[0] & Partial<Holding>) => {
    if ((await following.behindMs()) > lagAtMostMs) return fromDatabase(query)
    try {
      const rows = await answeredInTime(readCopy(historyOf(replica), query))
      if (rows === undefined) return fromDatabase(query)
      reads.inc({ from: 'replica' })
      return rows as never
    } catch (error) {
      // What a replica cannot do in time is not tried on the database itself.
      if (sqlState(error) === cancelled) throw error
      if (error instanceof Unavailable) following.failed()
      return fromDatabase(query)
    }
  }
  return { any, end: async () => void (await Promise.all([database.end(), replica.end()])) } as HistoryDatabase
}

const historyOf = (prepared: Prepared): History =>
  queryMethods(async (name, text, values) => ({ rows: await prepared.query(name, text, values), rowCount: null }))

/** Undefined where the copy has not come so far. What must be there is asked for first: what is there then is there afterwards. */
async function readCopy(copy: History, query: QuerySqlToken & Partial<Holding>): Promise<readonly unknown[] | undefined> {
  const { holding } = query
  if (holding !== undefined && holding.sql !== query.sql && (await copy.any(holding)).length === 0) return undefined
  const rows = await copy.any(query)
  return holding?.sql === query.sql && rows.length === 0 ? undefined : rows
}

async function answeredInTime<Answer>(answer: Promise<Answer>): Promise<Answer> {
  const waiting = new AbortController()
  const late = sleep(silentAtMostMs, undefined, { signal: waiting.signal, ref: false }).then(() => {
    throw new Unavailable('the replica does not answer')
  })
  late.catch(() => {})
  return Promise.race([answer, late]).finally(() => waiting.abort())
}

function registerLag(registry: Registry, behindMs: () => Promise<number>): void {
  new Gauge({
    name: 'bankside_replica_lag_seconds',
    help: 'How far the replica is behind at most. Infinite when it does not answer',
    registers: [registry],
    async collect() {
      this.set((await behindMs()) / 1_000)
    },
  })
}
