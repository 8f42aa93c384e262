import {
  createPool,
  createSqlTag,
  createTypeParserPreset,
  type DatabasePool,
  type DatabaseTransactionConnection,
  type FragmentSqlToken,
  type Interceptor,
} from 'slonik'
import { retryableStates, sqlState, unavailable } from './postgres-errors.ts'
import { connectionSettings, openPrepared } from './prepared.ts'
import { checkedRow, queryMethods, statementName } from './query-methods.ts'
import type { Unavailable } from './refusal.ts'
import { retried } from './retried.ts'
import { openTransactionPool, type TransactionPool } from './transaction-pool.ts'

export { NotFoundError } from 'slonik'
export { z } from 'zod'
export { lockNotAvailable, sqlState, unavailable, violatedConstraint } from './postgres-errors.ts'
export type Database = DatabasePool
/** Whatever changes state takes one of these first: only entry points open transactions. */
export type Transaction = DatabaseTransactionConnection

/** A part of a query, with its values. */
export type SqlFragment = FragmentSqlToken

/**
 * Tagged queries. Every query names the shape of its rows: `sql.type(shape)` or `sql.unsafe` for none. A shape that requests need is
 * made once, beside the function: to make one costs more than the statement.
 */
export const sql = createSqlTag()

/**
 * For what runs with every request: a query that is put together once, where values stand with `null` in their place, and
 * again and again sent with others.
 */
export const withValues = <Token extends { readonly values: readonly unknown[] }>(query: Token, values: Token['values']): Token => {
  if (values.length !== query.values.length) throw new Error(`${values.length} values for ${query.values.length} places`)
  return { ...query, values }
}

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
      idleInTransactionSessionTimeout: idleInTransactionMs,
      connectionRetryLimit: 0,
      queryRetryLimit: 0,
      transactionRetryLimit: 0,
      interceptors: [prepareStatements, checkRows],
      typeParsers,
      idleTimeout: idleTimeoutMs,
      resetConnection: async () => {},
    }),
  )
  const prepared = openPrepared(connectionString, { ...options, maxConnections: singleStatementConnections, plansByValues: true })
  const transactions = openTransactionPool(
    { ...connectionSettings(connectionString, options), idle_in_transaction_session_timeout: idleInTransactionMs },
    { maxConnections: options.maxConnections ?? 10, waitAtMostMs: options.connectTimeoutMs ?? 5_000 },
  )
  const database = { ...pool, end: async () => void (await Promise.all([pool.end(), prepared.end(), transactions.end()])) }
  const statements = queryMethods(async (name, text, values) => ({ rows: await prepared.query(name, text, values), rowCount: null }))
  alone.add(statements)
  opened.set(database, { statements, transactions })
  return database
}

/** Beside the pool, and opened when they are needed: for what runs with every request, slonik's own cost too much. */
const opened = new WeakMap<Database, { readonly statements: Transaction; readonly transactions: TransactionPool }>()
const alone = new WeakSet<Transaction>()
/** Whether each statement on this is one by itself, as {@link outsideTransaction} has them: then those of several requests may go as one. */
export const standsAlone = (tx: Transaction): boolean => alone.has(tx)
const singleStatementConnections = 5

function connectionsOf(database: Database) {
  const found = opened.get(database)
  if (found === undefined) throw new Error('a database that openDatabase did not open')
  return found
}

/** A new connection costs a process, and its plans: quiet seconds between requests must not throw them away. */
const idleTimeoutMs = 600_000
/** Its locks keep others waiting. */
const idleInTransactionMs = 30_000

/** Nothing of it is there: it is as if it had not been asked. */
const isUndone = (error: unknown): boolean => retryableStates.has(sqlState(error) ?? '')

/**
 * Runs `work` in one transaction, and again from its beginning when PostgreSQL asks for that (serialization failure,
 * deadlock): so `work` must have no effect outside the transaction.
 *
 * @throws {Unavailable} when the database cannot be reached, is read-only, full or shutting down, or keeps asking to retry.
 */
export async function transact<Result>(database: Database, work: (tx: Transaction) => Promise<Result>): Promise<Result> {
  const { transactions } = connectionsOf(database)
  return reading(retried(() => transactions.run(work), isUndone))
}

/**
 * For reads, and for a change that is one statement: each statement sees what is committed when it begins, as it would in a
 * transaction at READ COMMITTED, and is whole by itself. A transaction would only add two round trips. Whatever changes
 * state by more than one statement goes through {@link transact}, and so does what needs more than the query methods.
 *
 * @throws {Unavailable} as {@link transact}.
 */
export async function outsideTransaction<Result>(database: Database, work: (tx: Transaction) => Promise<Result>): Promise<Result> {
  return work(statementsOf(database))
}

/** What {@link outsideTransaction} works with, for who asks with every request. */
export const statementsOf = (database: Database): Transaction => connectionsOf(database).statements

/** The same as {@link transact} for a single read outside a transaction: turns lost connections into {@link Unavailable}. */
export async function reading<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    throw unavailable(error) ?? error
  }
}
