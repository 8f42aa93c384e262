import { targetOf } from './check-movement.ts'
import type { Movement, MovementOutcome } from './movement.ts'

/** A movement that somebody waits for. */
export type Waiting = {
  readonly movement: Movement
  /** All that it may touch. */
  readonly accounts: readonly string[]
  readonly resolve: (outcome: MovementOutcome) => void
  readonly reject: (error: unknown) => void
  /** Of `performance.now()`. */
  readonly sinceMs: number
}

export type MovementQueue = {
  readonly waiting: () => number
  readonly add: (one: Waiting) => void
  /** The next call: may be empty while others are under way. Whoever takes it says when it is done. */
  readonly take: () => readonly Waiting[]
  readonly done: (batch: readonly Waiting[]) => void
  /** Takes out those that have waited since before then. */
  readonly expired: (beforeMs: number) => readonly Waiting[]
}

/** So far behind the first it is looked for what can go before it. */
const lookAheadFactor = 4

/** Calls that gather, at a time. More would make them smaller: two keep two cores busy, one while the other is prepared. */
const gatheringLanes = 2

/**
 * Movements in the order in which they came. What touches an account, key, hold or entry of a call that is under way waits
 * for it, and what comes after and touches one of its own waits behind it: so whatever has to do with each other is done in
 * the order in which it came, and the order of the rest makes no difference. Of one account many may be in one call, of
 * one key, hold or entry one.
 *
 * As long as there are lanes for all, each goes by itself. Then they are shared out among few calls, which grow.
 */
export function openMovementQueue({ lanes, movementsPerCall }: { lanes: number; movementsPerCall: number }): MovementQueue {
  const sharers = movementsPerCall === 1 ? lanes : Math.min(lanes, gatheringLanes)
  let queue: Waiting[] = []
  let underWay = 0
  let calls = 0
  const busy = new Map<string, number>()

  return {
    waiting: () => queue.length,
    add: (one) => void queue.push(one),
    take() {
      const all = queue.length + underWay
      if (all > lanes && calls >= sharers) return []
      const share = all <= lanes ? 1 : Math.min(movementsPerCall, Math.ceil(all / sharers))
      const { taken, kept, seen } = select(queue, share, busy)
      if (taken.length === 0) return taken
      queue = kept.concat(queue.slice(seen))
      underWay += taken.length
      calls++
      for (const one of taken) for (const name of namesOf(one)) busy.set(name, (busy.get(name) ?? 0) + 1)
      return taken
    },
    done(batch) {
      underWay -= batch.length
      calls--
      for (const one of batch)
        for (const name of namesOf(one)) {
          const count = busy.get(name) ?? 0
          if (count > 1) busy.set(name, count - 1)
          else busy.delete(name)
        }
    },
    expired(beforeMs) {
      const expired = queue.filter(({ sinceMs }) => sinceMs < beforeMs)
      if (expired.length > 0) queue = queue.filter(({ sinceMs }) => sinceMs >= beforeMs)
      return expired
    },
  }
}

type Selection = { readonly taken: Waiting[]; readonly kept: Waiting[]; readonly seen: number }

function select(queue: readonly Waiting[], limit: number, busy: ReadonlyMap<string, number>): Selection {
  const taken: Waiting[] = []
  const kept: Waiting[] = []
  /** Of those that stay behind: nothing passes them. */
  const blocked = new Set<string>()
  const once = new Set<string>()
  let seen = 0
  for (; seen < queue.length && taken.length < limit && seen < limit * lookAheadFactor; seen++) {
    const one = queue[seen] as Waiting
    const own = ownNames(one.movement)
    const free =
      one.accounts.every((name) => !busy.has(name) && !blocked.has(name)) &&
      own.every((name) => !busy.has(name) && !blocked.has(name) && !once.has(name))
    if (free) {
      taken.push(one)
      for (const name of own) once.add(name)
    } else {
      kept.push(one)
      for (const name of namesOf(one)) blocked.add(name)
    }
  }
  return { taken, kept, seen }
}

/** What only one movement of a call may name. */
function ownNames({ key, operations }: Movement): readonly string[] {
  return [key.id, ...operations.flatMap((operation) => targetOf(operation) ?? [])]
}

const namesOf = ({ movement, accounts }: Waiting) => [...ownNames(movement), ...accounts]
