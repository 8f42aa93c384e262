import { randomUUID } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Held by one living process at a time. A process that was killed holds nothing: the next one takes over. */
export type FolderLock = { release(): void }
export type LockHolder = { readonly pid: number; readonly startedAt: string }

/** @returns the lock, or who holds it. */
export function tryLock(path: string): FolderLock | { heldBy: LockHolder } {
  for (let attempt = 0; attempt < 3; attempt++) {
    if (create(path)) return { release: () => releaseOwn(path) }
    const holder = readHolder(path)
    if (holder !== undefined && isAlive(holder)) return { heldBy: holder }
    if (!removeStale(path)) break
  }
  return { heldBy: readHolder(path) ?? { pid: 0, startedAt: '' } }
}

export async function lock(path: string, { timeoutMs }: { timeoutMs: number }): Promise<FolderLock> {
  for (const deadline = performance.now() + timeoutMs; ; await sleep(25)) {
    const locked = tryLock(path)
    if ('release' in locked) return locked
    if (performance.now() > deadline) throw new Error(`process ${locked.heldBy.pid} holds ${path} and does not let go`)
  }
}

/** Whether a lock is held now, without taking it. */
export function lockHolder(path: string): LockHolder | undefined {
  const holder = readHolder(path)
  return holder && isAlive(holder) ? holder : undefined
}

/** A link appears with its content or not at all, so nobody reads half a lock. */
function create(path: string): boolean {
  const draft = `${path}.${randomUUID()}`
  writeFileSync(draft, JSON.stringify(processIdentity(process.pid)), { mode: 0o644 })
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

const breakingTakesAtMostMs = 10_000

/** Two that find the same stale lock must not remove each other's new one: a folder decides who may remove. */
function removeStale(path: string): boolean {
  const breaking = `${path}.breaking`
  try {
    mkdirSync(breaking)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    if (ageMs(breaking) > breakingTakesAtMostMs) rmSync(breaking, { recursive: true, force: true })
    return false
  }
  try {
    const holder = readHolder(path)
    if (holder === undefined || !isAlive(holder)) rmSync(path, { force: true })
    return true
  } finally {
    rmdirSync(breaking)
  }
}

function releaseOwn(path: string): void {
  if (readHolder(path)?.pid === process.pid) rmSync(path, { force: true })
}

function readHolder(path: string): LockHolder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as LockHolder
  } catch {
    return undefined
  }
}

/** What tells a process from a later one with the same number. */
export function processIdentity(pid: number): LockHolder {
  return { pid, startedAt: startOf(pid) }
}

/** A number is given to another process after a restart of the machine; where the system tells the start, it must agree. */
export function isAlive({ pid, startedAt }: LockHolder): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (codeOf(error) !== 'EPERM') return false
  }
  return startOf(pid) === startedAt
}

/** Boot of the machine and start of the process in ticks since then (Linux); empty elsewhere. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fieldsAfterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${fieldsAfterName[19]}`
  } catch {
    return ''
  }
}

function ageMs(path: string): number {
  try {
    return performance.timeOrigin + performance.now() - statSync(path).mtimeMs
  } catch {
    return 0
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
