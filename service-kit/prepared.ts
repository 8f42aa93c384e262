import type pg from 'pg'
import { type ConnectionOptions, openPipelinedConnection, type PipelinedConnection } from './pipelined-connection.ts'
import { Unavailable } from './refusal.ts'
import { rowTypes } from './row-values.ts'

/** Prepared statements on `pg`, for the queries that run with every request. One statement each, no transactions. */
export type Prepared = {
  /**
   * @param how `mayBeLost` for what nobody misses: should the database server itself crash, the changes of its last moment are
   *   gone, unless one that was to be kept came after them. Never for what was used up or taken back.
   * @param name Names the text on each connection: one name, one text, for the life of the process. Without one, it is parsed each time.
   * @throws {Unavailable} when the database cannot be reached or does not answer in time.
   */
  query<Row extends object>(
    name: string | undefined,
    text: string,
    values?: readonly unknown[],
    how?: { readonly mayBeLost?: boolean },
  ): Promise<Row[]>
  end(): Promise<void>
}

export type PreparedOptions = ConnectionOptions & {
  readonly maxConnections?: number
  readonly connectTimeoutMs?: number
  readonly statementTimeoutMs?: number
  /** For statements of which the best way to their rows depends on the values: periods, filters that may be absent. */
  readonly plansByValues?: boolean
}

const keepAliveAfterMs = 10_000

export const connectionSettings = (
  connectionString: string,
  { connectTimeoutMs = 5_000, statementTimeoutMs = 15_000 }: PreparedOptions = {},
): pg.ClientConfig => ({
  connectionString,
  connectionTimeoutMillis: connectTimeoutMs,
  statement_timeout: statementTimeoutMs,
  keepAlive: true,
  keepAliveInitialDelayMillis: keepAliveAfterMs,
  types: rowTypes,
})

/** Changes that may be lost do not wait for the disk either. */
const carelessConnections = 2
/** Reads never wait for each other, nor for the disk: a few connections carry them all, and the fewer the less each costs. */
const readingConnections = 2
/** Whoever would wait behind so many is better served by another process. */
const unansweredAtMost = 500

/** Statements are planned once on a connection, perhaps while tables are small: rows are found by their keys all the same. */
const planning = '-c enable_seqscan=off -c jit=off'
/** Where it costs as much to plan a statement as to run it, and every way to a row is the same: by its key. */
const plannedOnce = `${planning} -c plan_cache_mode=force_generic_plan`

/**
 * Opens connections as they are needed. Reads share some, whatever writes has the others: it waits for the disk and perhaps
 * for a lock, and nobody should wait behind it who need not.
 */
export function openPrepared(connectionString: string, options: PreparedOptions = {}): Prepared {
  const { maxConnections = 10, plansByValues = false } = options
  const planned = plansByValues ? planning : plannedOnce
  const settings = { ...connectionSettings(connectionString, options), options: planned }
  const lane = (laneSettings: pg.ClientConfig, atMost: number, sendsAtOnce = false) =>
    openLane(() => openPipelinedConnection(laneSettings, { ...options, sendsAtOnce }), atMost)
  const readers = lane(settings, Math.min(readingConnections, maxConnections), true)
  const careless = lane({ ...settings, options: `${planned} -c synchronous_commit=off` }, carelessConnections)
  const writers = maxConnections > readingConnections ? lane(settings, maxConnections - readingConnections) : readers
  const texts = new Map<string, string>()
  return {
    async query<Row extends object>(name: string | undefined, text: string, values: readonly unknown[] = [], { mayBeLost = false } = {}) {
      if (name !== undefined) claimName(texts, name, text)
      const chosen = mayBeLost ? careless : /^\s*select\s/i.test(text) ? readers : writers
      const { rows } = await chosen.free().query<Row>({ ...(name !== undefined && { name }), text, values: values as unknown[] })
      return rows
    },
    end: async () => {
      await Promise.all([readers, careless, writers].map((lane) => lane.end()))
    },
  }
}

const nameAtMostBytes = 63

function claimName(texts: Map<string, string>, name: string, text: string): void {
  const known = texts.get(name)
  if (known === undefined && Buffer.byteLength(name) > nameAtMostBytes) throw new Error(`PostgreSQL would cut the name ${name}`)
  if (known === undefined) texts.set(name, text)
  else if (known !== text) throw new Error(`two texts for the prepared statement ${name}`)
}

type Lane = { readonly free: () => PipelinedConnection; readonly end: () => Promise<void> }

/** So many connections, opened when all there are have something to do. One that is lost is replaced when the next is needed. */
function openLane(open: () => PipelinedConnection, atMost: number): Lane {
  let connections: PipelinedConnection[] = []
  return {
    free() {
      if (connections.some((connection) => connection.isLost())) connections = connections.filter((connection) => !connection.isLost())
      const fewest = Math.min(...connections.map((connection) => connection.unanswered()))
      const freest = connections.find((connection) => connection.unanswered() === fewest)
      if (freest !== undefined && (fewest === 0 || connections.length >= atMost)) {
        if (fewest >= unansweredAtMost) throw new Unavailable('too many statements wait for an answer')
        return freest
      }
      const another = open()
      connections.push(another)
      return another
    },
    end: async () => {
      await Promise.all(connections.map((connection) => connection.end()))
    },
  }
}
