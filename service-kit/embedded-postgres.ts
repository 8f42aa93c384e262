import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { lock } from './folder-lock.ts'
import { freePorts } from './free-ports.ts'
import { findPostgres, majorVersion, type PostgresBinaries } from './postgres-binaries.ts'
import { type UnprivilegedUser, unprivilegedUser } from './unprivileged-user.ts'

export type EmbeddedPostgres = {
  /** Of the superuser, in the database asked for. */
  readonly url: string
  /** It was running already: whoever started it was killed. */
  readonly reused: boolean
  stop(): Promise<void>
}

export type EmbeddedOptions = {
  /** Holds data, password and log. Made when it is missing. */
  readonly folder: string
  /** Any free one when left out. */
  readonly port?: number
  readonly database?: string
  readonly settings?: Readonly<Record<string, string>>
}

const superuser = 'bankside'
const startTakesAtMostMs = 30_000
const stopTakesAtMostSeconds = 30

/** For data that nobody minds losing: nothing waits for the disk. */
export const throwaway = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  autovacuum: 'off',
}

/**
 * A real PostgreSQL on the loopback address, as a child that outlives neither `stop()` nor the machine, but does outlive
 * a parent that is killed: the next start in the same folder finds it and goes on with it.
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const folder = resolve(options.folder)
  mkdirSync(folder, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 })
  const starting = await lock(join(folder, 'start.lock'), { timeoutMs: startTakesAtMostMs * 2 })
  try {
    const binaries = findPostgres()
    const data = join(folder, 'data')
    const user = unprivilegedUser({ program: binaries.postgres, folder, data })
    if (!existsSync(data)) initialise(folder, binaries, user)
    const running = runningPort(folder)
    const port = running ?? options.port ?? (await freePorts())
    if (running === undefined)
      await start(folder, binaries, user, { listen_addresses: '127.0.0.1', port: String(port), ...settings, ...options.settings })
    const url = (database: string) => `postgresql://${superuser}:${readPassword(folder)}@127.0.0.1:${port}/${database}`
    if (options.database !== undefined) await createDatabaseIfMissing(url('postgres'), options.database)
    return { url: url(options.database ?? 'postgres'), reused: running !== undefined, stop: async () => stop(data, binaries, user) }
  } finally {
    starting.release()
  }
}

/** What a server says of itself when it takes connections: as the one, or as a replica of another. */
const answering = new Set(['ready', 'standby'])

/** The port of a server that runs on this folder's data now. */
export function runningPort(folder: string): number | undefined {
  const [pid, , , port, , , , state] = readIfThere(join(folder, 'data', 'postmaster.pid'))?.split('\n') ?? []
  return pid !== undefined && isPostgres(Number(pid)) && answering.has(state?.trim() ?? '') ? Number(port) : undefined
}

// Errors are logged without the row that caused them: rows are about customers.
const settings = {
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '128MB',
  log_error_verbosity: 'terse',
  log_min_error_statement: 'panic',
  log_checkpoints: 'off',
}

/** Under another name until it is whole, so that a start that was killed leaves nothing that looks like a database. */
function initialise(folder: string, binaries: PostgresBinaries, user: UnprivilegedUser): void {
  const unfinished = join(folder, 'data.new')
  const passwordForInitdb = join(folder, 'password.new')
  const password = randomBytes(24).toString('base64url')
  rmSync(unfinished, { recursive: true, force: true })
  rmSync(passwordForInitdb, { force: true })
  mkdirSync(unfinished, { mode: 0o700 })
  writeFileSync(passwordForInitdb, password, { mode: 0o600 })
  user.own(unfinished)
  user.own(passwordForInitdb)
  const locale = majorVersion(binaries) >= 17 ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : ['--locale=C.UTF-8']
  const access = ['-U', superuser, '--auth=scram-sha-256', `--pwfile=${passwordForInitdb}`]
  const { status, stderr, error } = user.runSync(binaries.initdb, [
    '-D',
    unfinished,
    ...access,
    '--encoding=UTF8',
    ...locale,
    '--no-instructions',
    '--no-sync',
  ])
  rmSync(passwordForInitdb, { force: true })
  if (status !== 0) {
    rmSync(unfinished, { recursive: true, force: true })
    throw new Error(`PostgreSQL could not make its data folder in ${folder}: ${(stderr || error?.message || `status ${status}`).trim()}`)
  }
  writeFileSync(join(folder, 'password'), password, { mode: 0o600 })
  renameSync(unfinished, join(folder, 'data'))
}

function readPassword(folder: string): string {
  return readFileSync(join(folder, 'password'), 'utf8')
}

/** In a process group of its own: Ctrl-C reaches us only, and we stop it when the pools have drained. */
async function start(
  folder: string,
  binaries: PostgresBinaries,
  user: UnprivilegedUser,
  parameters: Record<string, string>,
): Promise<void> {
  const log = openSync(join(folder, 'postgres.log'), 'a', 0o600)
  const flags = Object.entries(parameters).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const server = user.start(binaries.postgres, ['-D', join(folder, 'data'), ...flags], { stdio: ['ignore', log, log], detached: true })
  closeSync(log)
  let ended: string | undefined
  server.once('exit', (code, signal) => (ended = `it ended with ${signal ?? code}`))
  server.once('error', (error) => (ended = error.message))
  for (const deadline = performance.now() + startTakesAtMostMs; runningPort(folder) === undefined; await sleep(20)) {
    if (performance.now() > deadline) ended ??= 'it took too long'
    if (ended !== undefined) throw new Error(`PostgreSQL did not start: ${ended}. ${lastLine(join(folder, 'postgres.log'))}`)
  }
  server.unref()
}

async function stop(data: string, binaries: PostgresBinaries, user: UnprivilegedUser): Promise<void> {
  if (!existsSync(join(data, 'postmaster.pid'))) return
  const stopping = user.start(binaries.pg_ctl, ['stop', '-D', data, '-m', 'fast', '-w', '-t', String(stopTakesAtMostSeconds)], {
    stdio: 'ignore',
    detached: true,
  })
  const status = await new Promise<number | null>((done, failed) => stopping.once('exit', done).once('error', failed))
  if (status !== 0 && existsSync(join(data, 'postmaster.pid')))
    throw new Error(`PostgreSQL in ${data} did not stop within ${stopTakesAtMostSeconds} s`)
}

async function createDatabaseIfMissing(url: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name])
    if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`)
  } finally {
    await client.end()
  }
}

/** After a restart of the machine the number in a left-over file may belong to anybody. */
function isPostgres(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const name = readIfThere(`/proc/${pid}/comm`)
  return name === undefined || name.trim().startsWith('postgres')
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function lastLine(path: string): string {
  return readIfThere(path)?.trimEnd().split('\n').at(-1) ?? ''
}
