import { setTimeout as sleep } from 'node:timers/promises'
import { lockNotAvailable, sqlState } from './postgres-errors.ts'

const sleepBetweenMs = 200

/** Repeats what gives up soon where somebody holds a lock that it needs, and lets others pass in between. */
export async function givingWay<Result>(attempts: number, work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (sqlState(error) !== lockNotAvailable || attempt === attempts) throw error
      await sleep(sleepBetweenMs * (0.5 + Math.random()))
    }
  }
}
