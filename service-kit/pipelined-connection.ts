import { Socket } from 'node:net'
import pg from 'pg'
import { DescribedQuery, type KnownShapes } from './described-query.ts'
import { unavailable } from './postgres-errors.ts'
import { Unavailable } from './refusal.ts'
import { keepRowsWhole } from './row-messages.ts'

export type PipelinedConnection = {
  /** How many statements were sent, or wait to be, and have no answer yet. */
  readonly unanswered: () => number
  readonly isLost: () => boolean
  /** @throws {Unavailable} when the connection cannot be made, is lost, or PostgreSQL says "not now". */
  readonly query: <Row extends object>(query: pg.QueryConfig) => Promise<pg.QueryResult<Row>>
  readonly end: () => Promise<void>
}

export type ConnectionOptions = {
  /** Where nothing is decided. Anywhere else a replica, which lags, is as good as no database: PostgreSQL says what it is. */
  readonly mayBeReplica?: boolean
  /**
   * What is asked while nothing is under way goes out before whoever asked goes on, not when he has done all that he does now: for
   * single statements, of which the next is not asked in the same breath.
   */
  readonly sendsAtOnce?: boolean
}

/**
 * One connection, on which statements are sent without waiting for the answers to earlier ones. PostgreSQL answers them in
 * order: where many requests share it, nothing that may wait for a lock for long belongs there.
 */
export function openPipelinedConnection(
  settings: pg.ClientConfig,
  { mayBeReplica = false, sendsAtOnce = false }: ConnectionOptions = {},
): PipelinedConnection {
  const socket = new Socket()
  const client = new pg.Client({ ...settings, pipeline: true, stream: () => socket })
  keepRowsWhole(client)
  const shapes: KnownShapes = new Map()
  let unanswered = 0
  let lost = false
  const lose = () => {
    lost = true
  }
  client.on('error', lose)
  client.on('end', lose)
  let isReplica = false
  // Said before the first statement, and again should it change.
  wireOf(client).on('parameterStatus', ({ parameterName, parameterValue }) => {
    if (parameterName === 'in_hot_standby') isReplica = parameterValue === 'on'
    if (isReplica && !mayBeReplica) lose()
  })
  const connected = client.connect().then(
    () => (lost ? closeReplica(client) : undefined),
    (error: unknown) => {
      lost = true
      return notNow(error)
    },
  )
  const writes = gatherWrites(socket)

  return {
    unanswered: () => unanswered,
    isLost: () => lost,
    async query<Row extends object>(query: pg.QueryConfig) {
      unanswered++
      try {
        const refused = await connected
        if (refused !== undefined) throw refused
        const first = unanswered === 1
        writes.gather(first)
        const described = new DescribedQuery<Row>(query, shapes, settings.types ?? pg.types)
        client.query(described)
        if (first && sendsAtOnce) writes.send()
        return await described.answered.catch((error: unknown) => {
          // A fatal error is the last that the connection says; that it closed is heard later.
          if (error instanceof pg.DatabaseError && error.severity !== 'ERROR') lose()
          throw lost ? notNow(error) : (unavailable(error) ?? error)
        })
      } finally {
        unanswered--
      }
    },
    end: async () => {
      await connected
      if (!lost) await client.end()
    },
  }
}

type Wire = { on(event: 'parameterStatus', listener: (status: { parameterName: string; parameterValue: string }) => void): void }
/** `pg` emits what the server says of itself, and its types do not tell. */
const wireOf = (client: pg.Client): Wire => (client as unknown as { readonly connection: Wire }).connection

function closeReplica(client: pg.Client): Unavailable {
  client.end().catch(() => {}) // It may have closed by itself.
  return new Unavailable('the database is a replica, on which nothing is decided')
}

/** What became of a connection that is lost. PostgreSQL may have said why, a wrong password for one; else it ended without a word. */
function notNow(error: unknown): unknown {
  const said = error instanceof pg.DatabaseError && error.severity === 'FATAL' ? error : undefined
  return unavailable(error) ?? said ?? new Unavailable('the connection to the database was lost', { cause: error })
}

/**
 * What requests ask in one turn of the event loop goes out in one write: each write costs more than most statements do. Where nothing
 * is under way, PostgreSQL begins at once with what one callback asked: otherwise it would wait for us, and we for it, in turns. Corked,
 * the stream would do as much for each of the four messages of a statement as it does for one write.
 */
function gatherWrites(socket: Socket): { readonly gather: (nothingUnderWay: boolean) => void; readonly send: () => void } {
  const write = socket.write.bind(socket) as (...given: unknown[]) => boolean
  let gathered: Uint8Array[] | undefined
  const send = () => {
    const messages = gathered
    gathered = undefined
    if (messages !== undefined && messages.length > 0) write(Buffer.concat(messages))
  }
  socket.write = (message: unknown, ...others: unknown[]): boolean => {
    if (gathered !== undefined && message instanceof Uint8Array && others.length === 0) {
      gathered.push(message)
      return true
    }
    send()
    return write(message, ...others)
  }
  const gather = (nothingUnderWay: boolean) => {
    if (gathered !== undefined) return
    gathered = []
    if (nothingUnderWay) process.nextTick(send)
    else setImmediate(send)
  }
  return { gather, send }
}
