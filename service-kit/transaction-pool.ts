import type pg from 'pg'
import type { DatabaseTransactionConnection } from 'slonik'
import { openPipelinedConnection, type PipelinedConnection } from './pipelined-connection.ts'
import { queryMethods } from './query-methods.ts'
import { Unavailable } from './refusal.ts'

export type TransactionPool = {
  /** @throws {Unavailable} when there is no connection to be had; whatever `work` throws, once it is rolled back. */
  readonly run: <Result>(work: (tx: DatabaseTransactionConnection) => Promise<Result>) => Promise<Result>
  readonly end: () => Promise<void>
}

/** Whoever would wait behind so many is better served by another process. */
const waitingAtMost = 500

/** Transactions on connections of their own, one at a time on each. */
export function openTransactionPool(settings: pg.ClientConfig, limits: { maxConnections: number; waitAtMostMs: number }): TransactionPool {
  const connections = openConnections(settings, limits)
  return {
    async run(work) {
      const connection = await connections.take()
      try {
        return await runOn(connection, work)
      } finally {
        connections.give(connection)
      }
    },
    end: () => connections.end(),
  }
}

/** A refusal is thrown, and rolled back like anything else; its connection is as good as before. */
async function runOn<Result>(
  connection: PipelinedConnection,
  work: (tx: DatabaseTransactionConnection) => Promise<Result>,
): Promise<Result> {
  // Not waited for: it goes out together with the first statement, which would fail for the same reason.
  const begun = connection.query({ text: 'begin' })
  begun.catch(() => {})
  const tx = queryMethods((name, text, values) =>
    connection.query({ ...(name !== undefined && { name }), text, values: values as unknown[] }),
  )
  try {
    const result = await work(tx)
    await begun
    const { command } = await connection.query({ text: 'commit' })
    // PostgreSQL rolls back what failed, and says so without an error.
    if (command !== 'COMMIT') throw new Error('a transaction went on after one of its statements had failed')
    return result
  } catch (error) {
    // When that fails too the connection is lost, and the transaction with it.
    if (!connection.isLost()) await connection.query({ text: 'rollback' }).catch(() => {})
    throw error
  }
}

type Waiting = { readonly resolve: (connection: PipelinedConnection) => void; readonly reject: (error: Unavailable) => void }

function openConnections(settings: pg.ClientConfig, { maxConnections, waitAtMostMs }: { maxConnections: number; waitAtMostMs: number }) {
  const all = new Set<PipelinedConnection>()
  const idle: PipelinedConnection[] = []
  const waiting = new Set<Waiting>()
  const free = (): PipelinedConnection | undefined => {
    for (let connection = idle.pop(); connection !== undefined; connection = idle.pop()) {
      if (!connection.isLost()) return connection
      all.delete(connection)
    }
    if (all.size >= maxConnections) return undefined
    const another = openPipelinedConnection(settings)
    all.add(another)
    return another
  }
  const wait = () =>
    new Promise<PipelinedConnection>((resolve, reject) => {
      if (waiting.size >= waitingAtMost) return reject(new Unavailable('too many transactions wait for a connection'))
      const one: Waiting = { resolve, reject }
      waiting.add(one)
      setTimeout(() => {
        if (waiting.delete(one)) reject(new Unavailable('no connection became free in time'))
      }, waitAtMostMs).unref()
    })
  return {
    take: async (): Promise<PipelinedConnection> => free() ?? wait(),
    give(connection: PipelinedConnection): void {
      if (connection.isLost()) all.delete(connection)
      else idle.push(connection)
      const [next] = waiting
      const one = next && free()
      if (next === undefined || one === undefined) return
      waiting.delete(next)
      next.resolve(one)
    },
    end: async (): Promise<void> => {
      await Promise.all([...all].map((connection) => connection.end()))
    },
  }
}
