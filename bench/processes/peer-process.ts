import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

const startTimeoutMs = 30_000
const stopTimeoutMs = 5_000

export type PeerProcess = { readonly pid: number; readonly stop: () => Promise<void> }

/** Starts one of `bench/peers`, hands it its settings, and waits until it listens. */
export async function startPeer(file: string, settings: object, nodeOptions: readonly string[] = []): Promise<PeerProcess> {
  const child = fork(`${import.meta.dirname}/../peers/${file}`, {
    execArgv: [...nodeOptions],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  child.send(settings)
  await ready(child, file)
  return { pid: child.pid ?? 0, stop: () => stopChild(child) }
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

/** Asks a child to end, and ends it when it does not. */
export async function stopChild(child: ChildProcess, timeoutMs = stopTimeoutMs): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
  await exited
  clearTimeout(timer)
}
