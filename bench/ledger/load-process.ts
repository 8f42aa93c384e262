import { fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { environmentWith } from '../environment.ts'
import { stopChild } from '../processes/stop-child.ts'
import type { Stopping } from '../processes/stopping.ts'

/** The product's own writer and reads, in a process of theirs: see `bank/ledger/testing/load.ts`. */
export type LoadOrder = {
  readonly databaseUrl: string
  readonly work: 'transfer' | 'hot transfer' | 'balance' | 'page'
  readonly inFlight: number
  readonly lanes: number
  readonly movementsPerCall: number
  readonly seconds: number
  readonly accounts: readonly string[]
}
export type LoadResult = {
  readonly operations: number
  readonly elapsedMs: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuUs: number
}

export type LoadProcess = { readonly perform: (order: LoadOrder) => Promise<LoadResult> }

const stopTakesAtMostMs = 5_000

export async function startLoadProcess(stopping: Stopping): Promise<LoadProcess> {
  const child = fork(path.join(import.meta.dirname, '../../bank/ledger/testing/load.ts'), { env: environmentWith({}), execArgv: [] })
  stopping.push(() => stopChild(child, stopTakesAtMostMs))
  await once(child, 'message')
  return {
    async perform(order) {
      child.send(order)
      const [answer] = (await once(child, 'message')) as [LoadResult | { readonly error: string }]
      if ('error' in answer) throw new Error(`the load failed: ${answer.error}`)
      return answer
    },
  }
}
