import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '@bankside/service-kit/clock'
import { Unavailable } from '@bankside/service-kit/refusal'
import { checkMovement } from './check-movement.ts'
import type { Movement, MovementOutcome } from './movement.ts'
import { type Lane, openLanes } from './movement-lanes.ts'
import { type MovementQueue, openMovementQueue, touchedBy, type Waiting } from './movement-queue.ts'
import { writeBatch } from './write-batch.ts'

export type MovementWriter = {
  /**
   * Answers when it is committed. What is declined has changed nothing, and its key is as new.
   *
   * @throws {Unavailable} when too much waits already, or the database does not answer; what was asked may then be done or
   *   not, and the same movement under the same key finds out.
   * @throws {Refusal} as {@link checkMovement}.
   */
  readonly write: (movement: Movement) => Promise<MovementOutcome>
  /** Writes what waits, then closes its connections. */
  readonly close: () => Promise<void>
}

export type MovementWriterOptions = {
  readonly clock: Clock
  /** Calls at a time, each on a connection of its own. */
  readonly lanes?: number
  readonly movementsPerCall?: number
  /** Beyond these, others are turned away at once. */
  readonly waitingAtMost?: number
  readonly waitAtMostMs?: number
}

/** What it touches is not known yet. */
type Arrived = Omit<Waiting, 'alone' | 'shared'>

/**
 * Gathers the movements of a process into few calls. A movement that comes while a lane is free is sent at once, with whatever
 * came in the same turn of the event loop; while both are busy, the next call grows. Nothing ever waits for a timer.
 */
export function openMovementWriter(databaseUrl: string, options: MovementWriterOptions): MovementWriter {
  const { clock, lanes: laneCount = 4, movementsPerCall = 300, waitingAtMost = 5_000, waitAtMostMs = 5_000 } = options
  const lanes = openLanes(databaseUrl, laneCount)
  const queue = openMovementQueue({ lanes: laneCount, movementsPerCall })
  let scheduled = false
  let closing = false
  /** Their accounts are asked for. */
  let resolving = 0
  let lastArrival: Promise<void> = Promise.resolve()

  const schedule = () => {
    if (scheduled || queue.waiting() === 0) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      for (let lane = lanes.take(); lane !== undefined; lane = lanes.take()) {
        const batch = queue.take()
        if (batch.length === 0) return lanes.give(lane)
        void work(lane, batch)
      }
    })
  }
  const work = async (lane: Lane, batch: readonly Waiting[]) => {
    const answer = await writeBatch(lane, batch, clock)
    queue.done(batch)
    const next = queue.take()
    if (next.length === 0) {
      lanes.give(lane)
      answer()
    } else {
      // It is on its way before those who waited hear of theirs and ask for more: the database works while we do.
      void work(lane, next)
      setImmediate(answer)
    }
    schedule()
  }
  const add = (one: Arrived, accounts: readonly string[]) => {
    queue.add({ ...one, ...touchedBy(one.movement, accounts) })
    schedule()
  }
  /** Whoever came later does not pass whoever's accounts are still being asked for. */
  const addInTurn = async (one: Arrived, asked: ReturnType<typeof lanes.accountsOf>, before: Promise<void>) => {
    const [accounts] = await Promise.allSettled([asked, before])
    resolving--
    if (accounts.status === 'fulfilled') add(one, accounts.value)
    else one.reject(accounts.reason)
  }
  const expiry = setInterval(() => expire(queue, waitAtMostMs), 500).unref()

  return {
    async write(movement) {
      checkMovement(movement)
      if (closing) throw new Unavailable('the ledger is closing')
      if (queue.waiting() + resolving >= waitingAtMost) throw new Unavailable('too many movements wait already')
      return new Promise((resolve, reject) => {
        const one = { movement, resolve, reject, sinceMs: performance.now() }
        const accounts = lanes.accountsOf(movement)
        if (!('then' in accounts) && resolving === 0) return add(one, accounts)
        resolving++
        lastArrival = addInTurn(one, accounts, lastArrival)
      })
    },
    close: async () => {
      closing = true
      while (resolving > 0 || queue.waiting() > 0 || lanes.busy() > 0) await sleep(5)
      clearInterval(expiry)
      await lanes.close()
    },
  }
}

function expire(queue: MovementQueue, waitAtMostMs: number): void {
  for (const { reject } of queue.expired(performance.now() - waitAtMostMs)) reject(new Unavailable('the ledger is too busy'))
}
