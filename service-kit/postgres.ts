import { setTimeout as sleep } from 'node:timers/promises'
import {
  createPool,
  createSqlTag,
  createTypeParserPreset,
  type DatabasePool,
  type DatabasePoolConnection,
  type DatabaseTransactionConnection,
  type FragmentSqlToken,
  type Interceptor,
} from 'slonik'
import { retryableStates, sqlState, unavailable } from './postgres-errors.ts'
import { openPrepared } from './prepared.ts'
import { Unavailable } from './refusal.ts'
import { checkedRow, singleStatements, statementName } from './single-statements.ts'

export { NotFoundError } from 'slonik'
export { z } from 'zod'
export { sqlState, unavailable, violatedConstraint } from './postgres-errors.ts'
export type Database = DatabasePool
/** Whatever changes state takes one of these first: only entry points open transactions. */
export type Transaction = DatabaseTransactionConnection

/** A part of a query, with its values. */
export type SqlFragment = FragmentSqlToken

/** Tagged queries. Every query names the shape of its rows: `sql.type(z.object({...}))` or `sql.unsafe` for none. */
export const sql = createSqlTag()

/** slonik reads rows without looking at their schema; this makes the schema of every `sql.type` binding. */
const checkRows: Interceptor = {
  name: 'check-rows',
  transformRow: (context, query, row) => checkedRow(context.resultParser, row, query.sql) as typeof row,
}

/**
 * Names each text, so that every connection parses and plans it once: for our joins that is three quarters of what they
 * cost. A query without values stays as it is: it may be several statements, which cannot be prepared.
 */
const prepareStatements: Interceptor = {
  name: 'prepare-statements',
  transformQuery: (_context, query) => {
    const name = statementName(query)
    return name === undefined ? query : { ...query, name }
  },
}

/**
 * `numeric` and `bigint` columns arrive as `bigint` (every numeric column of ours is a whole number of minor units),
 * timestamps as `Date`. A driver's float parser would silently round money.
 */
const typeParsers = [
  ...createTypeParserPreset().filter(({ name }) => !['int8', 'numeric', 'timestamp', 'timestamptz', 'date'].includes(name)),
  { name: 'int8', parse: BigInt },
  { name: 'numeric', parse: BigInt },
  { name: 'timestamptz', parse: (value: string) => new Date(value) },
]

export type DatabaseOptions = { readonly maxConnections?: number; readonly connectTimeoutMs?: number; readonly statementTimeoutMs?: number }

/**
 * Opens a pool. No session state is ever set outside a transaction (`set local` only), so connections are handed on
 * without slonik's `discard all`, which would cost a round trip and destroy prepared statements.
 *
 * @throws {Unavailable} when the database cannot be reached: the pool asks it for its types first.
 */
export async function openDatabase(connectionString: string, options: DatabaseOptions = {}): Promise<Database> {
  const pool = await reading(
    createPool(connectionString, {
      maxPoolSize: options.maxConnections ?? 10,
      connectionTimeout: options.connectTimeoutMs ?? 5_000,
      statementTimeout: options.statementTimeoutMs ?? 15_000,
      idleInTransactionSessionTimeout: 30_000,
      connectionRetryLimit: 0,
      queryRetryLimit: 0,
      transactionRetryLimit: 0,
      interceptors: [prepareStatements, checkRows],
      typeParsers,
      idleTimeout: idleTimeoutMs,
      resetConnection: async () => {},
    }),
  )
  const prepared = openPrepared(connectionString, { ...options, maxConnections: singleStatementConnections })
  const database = { ...pool, end: async () => void (await Promise.all([pool.end(), prepared.end()])) }
  withoutTransaction.set(database, singleStatements(prepared))
  return database
}

/** Beside the pool, and opened when {@link outsideTransaction} needs them. */
const singleStatementConnections = 5
const withoutTransaction = new WeakMap<Database, Transaction>()

/** A new connection costs a process, and its plans: quiet seconds between requests must not throw them away. */
const idleTimeoutMs = 600_000

const transactionAttempts = 5

/** The pool's queue has no limit of its own. Whoever would wait behind so many is better served by another process. */
const waitingTransactionsAtMost = 500

/**
 * Runs `work` in one transaction, and again from its beginning when PostgreSQL asks for that (serialization failure,
 * deadlock): so `work` must have no effect outside the transaction.
 *
 * @throws {Unavailable} when the database cannot be reached, is read-only, full or shutting down, or keeps asking to retry.
 */
export async function transact<Result>(database: Database, work: (tx: Transaction) => Promise<Result>): Promise<Result> {
  refuseWhenCrowded(database)
  for (let attempt = 1; ; attempt++) {
    try {
      return await transactOnce(database, work)
    } catch (error) {
      if (retryableStates.has(sqlState(error) ?? '') && attempt < transactionAttempts) {
        await sleep(2 ** attempt * 5 * (0.5 + Math.random()))
        continue
      }
      throw unavailable(error) ?? error
    }
  }
}

const transactOnce = <Result>(database: Database, work: (tx: Transaction) => Promise<Result>): Promise<Result> =>
  onConnection(database, (connection) => connection.transaction(work, 0))

/**
 * slonik throws away a connection whose handler throws. A refusal is thrown, and rolled back like anything else, but its
 * connection is as good as before: so the error leaves the handler as a value. A connection that broke is still thrown away.
 */
async function onConnection<Result>(database: Database, work: (connection: DatabasePoolConnection) => Promise<Result>): Promise<Result> {
  const outcome = await database.connect(async (connection) => {
    try {
      return { result: await work(connection) }
    } catch (error) {
      if (unavailable(error) !== undefined && !retryableStates.has(sqlState(error) ?? '')) throw error
      return { error }
    }
  })
  if ('error' in outcome) throw outcome.error
  return outcome.result
}

/**
 * For reads, and for a change that is one statement: each statement sees what is committed when it begins, as it would in a
 * transaction at READ COMMITTED, and is whole by itself. A transaction would only add two round trips. Whatever changes
 * state by more than one statement goes through {@link transact}, and so does what needs more than the query methods.
 *
 * @throws {Unavailable} as {@link transact}.
 */
export async function outsideTransaction<Result>(database: Database, work: (tx: Transaction) => Promise<Result>): Promise<Result> {
  const statements = withoutTransaction.get(database)
  if (statements === undefined) throw new Error('a database that openDatabase did not open')
  return work(statements)
}

function refuseWhenCrowded(database: Database): void {
  if (database.state().waitingClients >= waitingTransactionsAtMost) throw new Unavailable('too many transactions wait for a connection')
}

/** The same as {@link transact} for a single read outside a transaction: turns lost connections into {@link Unavailable}. */
export async function reading<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    throw unavailable(error) ?? error
  }
}
