import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { stopChild } from './stop-child.ts'
import type { Stopping } from './stopping.ts'

const startTimeoutMs = 30_000
const stopTakesAtMostMs = 5_000

/** Starts one of `bench/peers`, hands it its settings, and waits until it listens. Answers its process id. */
export async function startPeer(file: string, settings: object, stopping: Stopping): Promise<number> {
  const child = fork(`${import.meta.dirname}/../peers/${file}`, {
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  stopping.push(() => stopChild(child, stopTakesAtMostMs))
  child.send(settings)
  await ready(child, file)
  return child.pid ?? 0
}

async function ready(child: ChildProcess, file: string): Promise<void> {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${file} ended with ${code} before it listened`)
  })
  const late = new Promise<never>((_resolve, reject) => {
    setTimeout(() => reject(new Error(`${file} does not listen after ${startTimeoutMs} ms`)), startTimeoutMs).unref()
  })
  late.catch(() => undefined)
  await Promise.race([once(child, 'message'), ended, late])
  ended.catch(() => undefined)
}
