import type { Connection } from './connection.ts'

export type LoopResult = { readonly elapsedMs: number; readonly latenciesMs: Float64Array }

/**
 * Performs `count` operations, each connection taking the next as soon as it has its answer. The count is fixed and the
 * time is measured, so that everything an operation needs can be made before. The first failure ends the loop.
 */
export async function closedLoop(
  connections: readonly Connection[],
  count: number,
  perform: (connection: Connection, index: number, worker: number) => Promise<void>,
): Promise<LoopResult> {
  const latenciesMs = new Float64Array(count)
  let next = 0
  let failed = false
  const started = performance.now()
  const worker = async (connection: Connection, number: number) => {
    for (let index = next++; index < count && !failed; index = next++) {
      const sent = performance.now()
      await perform(connection, index, number)
      latenciesMs[index] = performance.now() - sent
    }
  }
  const outcomes = await Promise.allSettled(
    connections.map((connection, number) =>
      worker(connection, number).catch((error: unknown) => {
        failed = true
        throw error
      }),
    ),
  )
  const elapsedMs = performance.now() - started
  const refused = outcomes.find((outcome) => outcome.status === 'rejected')
  if (refused) throw refused.reason
  return { elapsedMs, latenciesMs }
}
