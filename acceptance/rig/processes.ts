import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { isReady, type RunningSandbox } from '../sandbox/start-sandbox.ts'

const names = ['auth-server', 'resource-api', 'worker'] as const
export type ProcessName = (typeof names)[number]

const repository = path.join(import.meta.dirname, '../..')
const happensWithinMs = 40_000

/** The launcher notes its children in the order it starts them. */
export function pidOf({ home }: RunningSandbox, name: ProcessName): number {
  const noted = JSON.parse(readFileSync(path.join(home, 'processes.json'), 'utf8')) as { pid: number }[]
  const pid = noted[names.indexOf(name)]?.pid
  assert.ok(pid, `no ${name} is noted`)
  return pid
}

export function postgresPid({ home }: RunningSandbox): number {
  return Number(readFileSync(path.join(home, 'postgres/data/postmaster.pid'), 'utf8').split('\n')[0])
}

/** Everything of a sandbox: launcher, three processes, and PostgreSQL if it is its own. */
export function pidsOf(sandbox: RunningSandbox): number[] {
  const postgres = sandbox.embedded && existsSync(path.join(sandbox.home, 'postgres/data/postmaster.pid')) ? [postgresPid(sandbox)] : []
  return [sandbox.launcher.pid ?? 0, ...names.map((name) => pidOf(sandbox, name)), ...postgres]
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false // ESRCH: no such process.
  }
}

/** kill -9 of a process that this sandbox started. */
export function killHard(pid: number): void {
  process.kill(pid, 'SIGKILL')
}

const offsets: Record<ProcessName, number> = { 'auth-server': 4, 'resource-api': 5, worker: 6 }

/** Kills a process, and waits until another has taken its place. */
export async function replace(sandbox: RunningSandbox, name: ProcessName): Promise<void> {
  const before = pidOf(sandbox, name)
  killHard(before)
  await until(`another ${name} is ready`, async () => pidOf(sandbox, name) !== before && (await isReady(sandbox.portBase + offsets[name])))
}

export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + happensWithinMs; !(await holds()); await sleep(50))
    assert.ok(performance.now() < deadline, `not within ${happensWithinMs} ms: ${what}`)
}

/** `npm run reconcile` against the database of a sandbox. @returns what it printed. @throws when the books do not agree. */
export async function reconcile({ databaseUrl }: RunningSandbox): Promise<string> {
  const environment = { ...process.env, DATABASE_URL: databaseUrl }
  const { stdout } = await promisify(execFile)(process.execPath, ['worker/reconcile.ts'], {
    cwd: repository,
    env: environment,
    timeout: 60_000,
  })
  return stdout
}
