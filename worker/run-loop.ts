import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '@bankside/service-kit/clock'

export type Loop = {
  readonly name: string
  /** How long it sleeps at most when there is nothing to do: how late it notices that there is. */
  readonly idleMs: number
  /** It goes through all there is, whatever it finds: it sleeps so long after its first round already. */
  readonly isPeriodic?: boolean
  /**
   * For work that comes piece by piece and is cheaper together: after a round that did less than `atLeast`, more of it is
   * waited for so long.
   */
  readonly gathers?: { readonly atLeast: number; readonly forMs: number }
  /** One round, bounded. @returns how much was done; nothing sends the loop to sleep. */
  readonly work: (now: Date) => Promise<number>
}

export type LoopWatch = {
  readonly clock: Clock
  /** Ends the loop when its present round is done. */
  readonly signal: AbortSignal
  readonly onRound: (loop: Loop, done: number, seconds: number) => void
  readonly onFault: (loop: Loop, error: unknown) => void
}

const firstSleepMs = 20
const longestSleepAfterFaultMs = 30_000

/** Works while there is work, sleeps longer and longer while there is none, and after a fault longer still. */
export async function runLoop(loop: Loop, { clock, signal, onRound, onFault }: LoopWatch): Promise<void> {
  let idleRounds = 0
  let faults = 0
  let done = 0
  while (!signal.aborted) {
    const startedMs = performance.now()
    try {
      done = await loop.work(clock.now())
      onRound(loop, done, (performance.now() - startedMs) / 1000)
      faults = 0
      idleRounds = done > 0 ? 0 : idleRounds + 1
    } catch (error) {
      onFault(loop, error)
      faults++
    }
    await rest(sleepMs(loop, { done, idleRounds, faults }), signal)
  }
}

type Lately = { readonly done: number; readonly idleRounds: number; readonly faults: number }

/** A little at random, so that many workers do not ask all at once. */
function sleepMs({ idleMs, isPeriodic = false, gathers }: Loop, { done, idleRounds, faults }: Lately): number {
  const randomness = 0.75 + Math.random() / 2
  if (faults > 0) return Math.min(idleMs * 2 ** faults, Math.max(idleMs, longestSleepAfterFaultMs)) * randomness
  if (idleRounds === 0) return gathers !== undefined && done < gathers.atLeast ? gathers.forMs * randomness : 0
  return (isPeriodic ? idleMs : Math.min(firstSleepMs * 2 ** idleRounds, idleMs)) * randomness
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await (ms === 0 ? nextTurn() : sleep(ms, undefined, { signal }))
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
