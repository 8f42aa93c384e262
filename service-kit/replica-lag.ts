import type { Prepared } from './prepared.ts'

export type Following = {
  /** Whatever was committed longer ago than this is on the replica. Infinite as long as nothing is known. */
  readonly behindMs: () => Promise<number>
  /** It did not answer: nothing is known of it until it does. */
  readonly failed: () => void
}

const asksEveryMs = 1_000
const positionsAtMost = 100

type Position = { readonly atMs: number; readonly bytes: bigint }

/**
 * Asks the database how far its log is, and the replica how far it has come: a position is of everything that was committed
 * before it was asked for. So a replica that is cut off is known to fall behind as soon as there is something to miss, and one
 * with nothing to do is not behind. Asks while there is somebody who wants to know, and at most once a second.
 *
 * What is no replica any more, because it was promoted, counts as one that does not answer: it may have parted from the database.
 */
export function followReplica(database: Prepared, replica: Prepared): Following {
  let positions: Position[] = []
  let completeToMs = Number.NEGATIVE_INFINITY
  let askedMs = Number.NEGATIVE_INFINITY
  let asking: Promise<void> | undefined

  const failed = () => {
    completeToMs = Number.NEGATIVE_INFINITY
  }
  const ask = async () => {
    const atMs = performance.now()
    const [written] = await database.query<{ bytes: bigint }>('log_position', `select pg_current_wal_lsn() - '0/0' as bytes`)
    if (written !== undefined) positions = [...positions.slice(1 - positionsAtMost), { atMs, bytes: written.bytes }]
    const [replayed] = await replica.query<{ bytes: bigint | null }>(
      'replayed_position',
      `select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() - '0/0' end as bytes`,
    )
    const bytes = replayed?.bytes ?? -1n
    completeToMs = positions.findLast((position) => position.bytes <= bytes)?.atMs ?? (bytes < 0n ? Number.NEGATIVE_INFINITY : completeToMs)
    positions = positions.filter((position) => position.bytes > bytes)
  }
  return {
    failed,
    async behindMs() {
      const isFirst = askedMs === Number.NEGATIVE_INFINITY
      if (asking === undefined && performance.now() - askedMs >= asksEveryMs) {
        askedMs = performance.now()
        asking = ask()
          .catch(failed)
          .finally(() => {
            asking = undefined
          })
      }
      if (isFirst) await asking
      return performance.now() - completeToMs
    },
  }
}
