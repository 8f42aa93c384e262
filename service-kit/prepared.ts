import pg from 'pg'
import { idleTimeoutMs, unavailable } from './postgres.ts'

/** Prepared statements on `pg`, for the few queries that run with every request. One statement each, no transactions. */
export type Prepared = {
  /**
   * @param name Names the text on each connection: one name, one text, for the life of the process.
   * @throws {Unavailable} when the database cannot be reached or does not answer in time.
   */
  query<Row extends object>(name: string, text: string, values?: readonly unknown[]): Promise<Row[]>
  end(): Promise<void>
}

export type PreparedOptions = { readonly maxConnections?: number; readonly connectTimeoutMs?: number; readonly statementTimeoutMs?: number }

export function openPrepared(connectionString: string, options: PreparedOptions = {}): Prepared {
  const pool = new pg.Pool({
    connectionString,
    max: options.maxConnections ?? 10,
    idleTimeoutMillis: idleTimeoutMs,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
    statement_timeout: options.statementTimeoutMs ?? 15_000,
    types: { getTypeParser },
  })
  // An idle connection that breaks is replaced at the next query; without a listener it would end the process.
  pool.on('error', () => {})
  const texts = new Map<string, string>()
  return {
    async query<Row extends object>(name: string, text: string, values: readonly unknown[] = []) {
      if ((texts.get(name) ?? text) !== text) throw new Error(`two texts for the prepared statement ${name}`)
      texts.set(name, text)
      try {
        return await run<Row>(pool, { name, text, values: [...values] })
      } catch (error) {
        throw unavailable(error) ?? error
      }
    },
    end: () => pool.end(),
  }
}

/** `pool.query` would throw the connection away after any error, also after one that only says that a row exists already. */
async function run<Row extends object>(pool: pg.Pool, query: pg.QueryConfig): Promise<Row[]> {
  const client = await pool.connect()
  let broken = true
  try {
    const { rows } = await client.query<Row>(query)
    broken = false
    return rows
  } catch (error) {
    broken = !(error instanceof pg.DatabaseError) || error.severity !== 'ERROR'
    throw error
  } finally {
    client.release(broken)
  }
}

/** The same values as slonik gives in postgres.ts: whole numbers as bigint, instants as Date. */
const parsers = new Map<number, (text: string) => unknown>([
  [pg.types.builtins.INT8, BigInt],
  [pg.types.builtins.NUMERIC, BigInt],
  [pg.types.builtins.TIMESTAMPTZ, (text) => new Date(text)],
  [pg.types.builtins.DATE, (text) => text],
])

const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: 'text' | 'binary') =>
  (format === 'binary' ? undefined : parsers.get(oid)) ?? pg.types.getTypeParser(oid, format as 'text')
