import { type OrderedQueue, openOrderedQueue, type Queued } from '@bankside/service-kit/ordered-queue'
import { targetOf } from './check-movement.ts'
import type { Movement, MovementOutcome } from './movement.ts'

/** A movement that somebody waits for. */
export type Waiting = Queued & {
  readonly movement: Movement
  readonly resolve: (outcome: MovementOutcome) => void
  readonly reject: (error: unknown) => void
}

export type MovementQueue = Omit<OrderedQueue<Waiting>, 'take'> & {
  /** The next call: may be empty while others are under way. Whoever takes it says when it is done. */
  readonly take: () => readonly Waiting[]
}

/** So far behind the first it is looked for what can go before it. */
const lookAheadFactor = 4

/** Calls that gather, at a time. More would make them smaller: two keep two cores busy, one while the other is prepared. */
const gatheringLanes = 2

/**
 * Movements in the order in which they came: what touches an account, key, hold or entry of another waits for it.
 *
 * As long as there are lanes for all, each goes by itself. Then they are shared out among few calls, which grow.
 */
export function openMovementQueue({ lanes, movementsPerCall }: { lanes: number; movementsPerCall: number }): MovementQueue {
  const sharers = movementsPerCall === 1 ? lanes : Math.min(lanes, gatheringLanes)
  const queue = openOrderedQueue<Waiting>({ lookAheadFactor })
  let calls = 0

  return {
    ...queue,
    take() {
      const all = queue.waiting() + queue.underWay()
      if (all > lanes && calls >= sharers) return []
      const taken = queue.take(all <= lanes ? 1 : Math.min(movementsPerCall, Math.ceil(all / sharers)))
      if (taken.length > 0) calls++
      return taken
    },
    done(batch) {
      calls--
      queue.done(batch)
    },
  }
}

/** All that a movement touches: of one account many may be in one call, of one key, hold or entry one. */
export const touchedBy = ({ key, operations }: Movement, accounts: readonly string[]): Pick<Queued, 'alone' | 'shared'> => ({
  alone: [key.id, ...operations.flatMap((operation) => targetOf(operation) ?? [])],
  shared: accounts,
})
