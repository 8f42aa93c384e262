import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { compileCache } from '@bankside/service-kit/config'
import { isAlive, type LockHolder, processIdentity } from '@bankside/service-kit/folder-lock'
import { errorsIn } from './log-tail.ts'
import { writePrivateFile } from './private-file.ts'
import { Problem } from './problem.ts'
import type { Service } from './services.ts'

const readyTakesAtMostMs = 30_000
const stopTakesAtMostMs = 20_000
const logAtMostBytes = 20_000_000
const firstBackOffMs = 500
const longestBackOffMs = 30_000
/** Who ran for so long is forgiven what came before. */
const steadyAfterMs = 60_000

export type Supervisor = { stop(): Promise<void> }
export type SupervisorOptions = {
  readonly services: readonly Service[]
  readonly logs: string
  /** Where the running processes are noted, for the start after one that was killed. */
  readonly processes: string
  readonly say: (line: string) => void
}

/** Starts all services, waits until each says that it is ready, and from then on starts again whichever dies. */
export async function supervise({ services, logs, processes, say }: SupervisorOptions): Promise<Supervisor> {
  mkdirSync(logs, { recursive: true, mode: 0o700 })
  const children = new Map<string, ChildProcess>()
  const timers = new Set<NodeJS.Timeout>()
  let stopping = false

  const launch = (service: Service, backOffMs: number): Promise<void> => {
    const startedAt = performance.now()
    const child = start(service, logs)
    children.set(service.name, child)
    note(processes, children)
    child.once('exit', (code, signal) => {
      if (stopping || !ready.has(service.name)) return
      const delayMs = performance.now() - startedAt > steadyAfterMs ? firstBackOffMs : backOffMs
      say(
        `${service.name} ended unexpectedly (${signal ?? `exit ${code}`}) and is started again in ${delayMs / 1000} s. Its log: ${logOf(logs, service)}`,
      )
      const again = () => {
        timers.delete(timer)
        launch(service, Math.min(delayMs * 2, longestBackOffMs)).then(
          () => say(`${service.name} is back.`),
          (error: Error) => say(error.message),
        )
      }
      const timer = setTimeout(again, delayMs)
      timers.add(timer)
    })
    return becomesReady(child, service, logs)
  }

  const ready = new Set<string>()
  const stop = async () => {
    stopping = true
    for (const timer of timers) clearTimeout(timer)
    await Promise.all([...children.values()].map(end))
    note(processes, new Map())
  }
  const tail = errorsIn(
    services.map((service) => [service.name, logOf(logs, service)] as const),
    say,
  )
  try {
    await Promise.all(services.map((service) => launch(service, firstBackOffMs).then(() => ready.add(service.name))))
  } catch (error) {
    tail.stop()
    await stop()
    throw error
  }
  return {
    stop: async () => {
      tail.stop()
      await stop()
    },
  }
}

/**
 * In megabytes, several times what a process needs. Without limits V8 lets the heap grow instead of tidying up: the authorization
 * server grew beyond 400 MB under load, with these it stays at 200.
 */
const heapLimits = ['--max-semi-space-size=16', '--max-old-space-size=512']

/** In a group of its own, so that Ctrl-C reaches the launcher only, which stops its children in its own time. */
function start({ name, file, environment }: Service, logs: string): ChildProcess {
  const path = join(logs, `${name}.log`)
  if (existsSync(path) && statSync(path).size > logAtMostBytes) renameSync(path, `${path}.old`)
  const log = openSync(path, 'a', 0o600)
  try {
    return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...heapLimits, file], {
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', TZ: 'UTC', ...compileCache(), ...environment },
      stdio: ['ignore', log, log, 'ipc'],
      detached: true,
    })
  } finally {
    closeSync(log)
  }
}

function becomesReady(child: ChildProcess, service: Service, logs: string): Promise<void> {
  return new Promise((ready, failed) => {
    const settle = (problem?: string) => {
      clearTimeout(tooLate)
      child.off('message', onMessage).off('exit', onExit).off('error', onError)
      if (problem === undefined) ready()
      else
        failed(
          new Problem(`${service.name} did not start: ${problem}\n${lastLines(logOf(logs, service))}\nIts log: ${logOf(logs, service)}`),
        )
    }
    const onMessage = (message: unknown) => {
      if ((message as { ready?: unknown } | null)?.ready === true) settle()
    }
    const onExit = (code: number | null, signal: string | null) => settle(`it ended with ${signal ?? `exit ${code}`}.`)
    const onError = (error: Error) => settle(error.message)
    const tooLate = setTimeout(() => settle(`it was not ready in ${readyTakesAtMostMs / 1000} s.`), readyTakesAtMostMs)
    child.on('message', onMessage).once('exit', onExit).once('error', onError)
  })
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve()
  return new Promise((ended) => {
    const tooLate = setTimeout(() => child.kill('SIGKILL'), stopTakesAtMostMs)
    child.once('exit', () => {
      clearTimeout(tooLate)
      ended()
    })
    child.kill('SIGTERM')
  })
}

function note(path: string, children: ReadonlyMap<string, ChildProcess>): void {
  writePrivateFile(
    path,
    [...children.values()].flatMap(({ pid }) => (pid === undefined ? [] : [processIdentity(pid)])),
  )
}

/** Ends what a launcher that was killed left running. They end by themselves when it is gone; this one has less patience. */
export async function endLeftOvers(path: string): Promise<void> {
  const left = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as LockHolder[]).filter(isAlive) : []
  for (const { pid } of left) process.kill(pid, 'SIGTERM')
  for (const deadline = performance.now() + stopTakesAtMostMs; left.some(isAlive); await new Promise((done) => setTimeout(done, 50))) {
    if (performance.now() > deadline) for (const { pid } of left.filter(isAlive)) process.kill(pid, 'SIGKILL')
  }
}

function logOf(logs: string, { name }: Service): string {
  return join(logs, `${name}.log`)
}

const shownLines = 6

/** Of a log in JSON lines, what a person wants to read; of anything else the text. */
function lastLines(path: string): string {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-shownLines)
  return lines.map((line) => `  ${messageOf(line) ?? line}`).join('\n')
}

function messageOf(line: string): string | undefined {
  try {
    const { msg, err } = JSON.parse(line) as { msg?: string; err?: { message?: string } }
    return [msg, err?.message].filter(Boolean).join(': ')
  } catch {
    return undefined
  }
}
