import { type OrderedQueue, openOrderedQueue, type Queued } from '@bankside/service-kit/ordered-queue'
import type { AccountId } from '../ids.ts'
import { accountsNamedBy } from './accounts-named.ts'
import { targetOf } from './check-movement.ts'
import type { Movement, MovementOutcome, Operation } from './movement.ts'

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

/**
 * All that a movement touches: of one account many may be in one call, of one key, hold or entry one. Whether money may come to an
 * account does not depend on what else comes: what brings it some is done beside others that do.
 */
export function touchedBy({ key, operations }: Movement, accounts: readonly string[]): Pick<Queued, 'alone' | 'shared' | 'joint'> {
  const targets = operations.flatMap((operation) => targetOf(operation) ?? [])
  if (targets.length > 0) return { alone: [key.id, ...targets], shared: accounts }
  const spending = new Set<string>(operations.flatMap(spendingIn))
  return { alone: [key.id], shared: [...spending], joint: accounts.filter((account) => !spending.has(account)) }
}

/** The accounts of an operation to which it does not only bring money. */
function spendingIn(operation: Operation): readonly AccountId[] {
  if (operation.kind === 'transfer' || operation.kind === 'opening') return [operation.from]
  if (operation.kind !== 'legs') return accountsNamedBy(operation)
  return operation.legs.flatMap(({ accountId, amount }) => (amount.minor < 0n ? [accountId] : []))
}
