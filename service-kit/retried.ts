import { setTimeout as sleep } from 'node:timers/promises'
import { retryableStates, sqlState } from './postgres-errors.ts'
import { Unavailable } from './refusal.ts'

const attempts = 5
/** What PostgreSQL asks to repeat; it is being stopped, has crashed, or is starting. */
const repeated = new Set([...retryableStates, '57P01', '57P02', '57P03'])

/**
 * Asks PostgreSQL again when it says so or the connection was lost: for calls that find out by themselves whether they were
 * committed before.
 *
 * @param mayRepeat Which errors that call asks again for.
 */
export async function retried<Result>(call: () => Promise<Result>, mayRepeat = isRepeated): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call()
    } catch (error) {
      if (!mayRepeat(error) || attempt === attempts) throw error
      await sleep(2 ** attempt * 5 * (0.5 + Math.random()))
    }
  }
}

/** Whether the same call, asked again, may go through. */
export function isRepeated(error: unknown): boolean {
  const state = sqlState(error)
  return state === undefined ? error instanceof Unavailable : repeated.has(state)
}
