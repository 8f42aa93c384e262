import { Socket } from 'node:net'
import pg from 'pg'
import { unavailable } from './postgres-errors.ts'
import { Unavailable } from './refusal.ts'

export type PipelinedConnection = {
  /** How many statements were sent, or wait to be, and have no answer yet. */
  readonly unanswered: () => number
  readonly isLost: () => boolean
  /** @throws {Unavailable} when the connection cannot be made, is lost, or PostgreSQL says "not now". */
  readonly query: <Row extends object>(query: pg.QueryConfig) => Promise<Row[]>
  readonly end: () => Promise<void>
}

/**
 * One connection that many requests share: statements are sent without waiting for the answers to earlier ones, each a
 * transaction of its own. PostgreSQL answers them in order, so nothing that may wait for a lock for long belongs here.
 */
export function openPipelinedConnection(settings: pg.ClientConfig): PipelinedConnection {
  const socket = new Socket()
  const client = new pg.Client({ ...settings, pipeline: true, stream: () => socket })
  let unanswered = 0
  let lost = false
  const lose = () => {
    lost = true
  }
  client.on('error', lose)
  client.on('end', lose)
  const connected = client.connect().then(
    () => undefined,
    (error: unknown) => {
      lost = true
      return unavailable(error) ?? error
    },
  )
  const gather = gatherWrites(socket)

  return {
    unanswered: () => unanswered,
    isLost: () => lost,
    async query<Row extends object>(query: pg.QueryConfig) {
      unanswered++
      try {
        const refused = await connected
        if (refused !== undefined) throw refused
        gather()
        const { rows } = await client.query<Row>(query)
        return rows
      } catch (error) {
        // A fatal error is the last that the connection says; that it closed is heard later.
        if (error instanceof pg.DatabaseError && error.severity !== 'ERROR') lose()
        throw unavailable(error) ?? (lost && !(error instanceof pg.DatabaseError) ? wentAway(error) : error)
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

const wentAway = (cause: unknown): Unavailable => new Unavailable('the connection to the database was lost', { cause })

/** What requests ask in one turn of the event loop goes out in one write: each write costs more than most statements do. */
function gatherWrites(socket: Socket): () => void {
  let gathering = false
  return () => {
    if (gathering) return
    gathering = true
    socket.cork()
    setImmediate(() => {
      gathering = false
      socket.uncork()
    })
  }
}
