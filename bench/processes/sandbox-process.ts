import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEmbeddedPostgres } from '@bankside/service-kit/embedded-postgres'
import { freePorts } from '@bankside/service-kit/free-ports'
import { environmentWith } from '../environment.ts'
import { stopChild } from './stop-child.ts'
import type { Stopping } from './stopping.ts'

/** What the bench reads of `sandbox.json`. */
export type SandboxDescription = {
  readonly issuer: string
  readonly resource_api: string
  readonly ca_file: string
  readonly audiences: { readonly uk_open_banking: string }
  readonly customers: readonly { readonly username: string; readonly password: string; readonly totp_secret: string }[]
  readonly clients: readonly {
    readonly client_id: string
    readonly profile: string
    readonly token_endpoint_auth_method: string
    readonly sender_constraint: string
    readonly redirect_uris: readonly string[]
    readonly jwks_file: string | null
    readonly cert_file: string | null
    readonly key_file: string | null
    readonly first_party: boolean
  }[]
}

export type Sandbox = {
  readonly home: string
  readonly description: SandboxDescription
  /** Its server processes, where the system tells. */
  readonly pids: readonly number[]
  /** The superuser's URL of its embedded PostgreSQL. */
  readonly adminUrl: string
}

const portsPerSandbox = 10
const startTakesAtMostMs = 120_000
const stopTakesAtMostMs = 30_000
const servers = ['auth-server/main.ts', 'resource-api/main.ts', 'worker/main.ts']

/**
 * A sandbox of the bench's own, as `npm start` would start it, in a folder that is removed afterwards.
 *
 * @param postgres Settings of its PostgreSQL beside its own.
 */
export async function startSandbox(customers: number, stopping: Stopping, postgres?: Readonly<Record<string, string>>): Promise<Sandbox> {
  const home = mkdtempSync(path.join(tmpdir(), 'bankside-bench-'))
  stopping.push(async () => rmSync(home, { recursive: true, force: true }))
  if (postgres !== undefined) {
    // The sandbox goes on with the one that it finds there.
    chmodSync(home, 0o711)
    const { stop } = await startEmbeddedPostgres({ folder: path.join(home, 'postgres'), settings: postgres })
    stopping.push(stop)
  }
  const portBase = await freePorts(portsPerSandbox)
  const logFile = path.join(home, 'launcher.log')
  const log = openSync(logFile, 'a')
  const launcher = spawn(process.execPath, [path.join(import.meta.dirname, '../../sandbox/start.ts')], {
    cwd: path.join(import.meta.dirname, '../..'),
    env: environmentWith({
      BANKSIDE_HOME: home,
      BANKSIDE_PORT_BASE: String(portBase),
      BANKSIDE_SANDBOX_CUSTOMERS: String(customers),
      // All load comes from one address and a few clients.
      BANKSIDE_RATE_LIMIT: '1000000',
    }),
    // The channel tells the launcher when the bench is gone, however it went.
    stdio: ['ignore', log, log, 'ipc'],
    // A group of its own: Ctrl-C reaches the bench only, which stops the sandbox when it is done with it.
    detached: true,
  })
  stopping.push(() => stopChild(launcher, stopTakesAtMostMs))
  await ready(launcher, home, portBase, logFile)
  const description = JSON.parse(readFileSync(path.join(home, 'sandbox.json'), 'utf8')) as SandboxDescription
  return { home, description, pids: serversOf(launcher), adminUrl: adminUrlOf(home) }
}

async function ready(launcher: ChildProcess, home: string, portBase: number, logFile: string): Promise<void> {
  const deadline = performance.now() + startTakesAtMostMs
  const lastWords = () => readFileSync(logFile, 'utf8').slice(-3_000)
  while (!(existsSync(path.join(home, 'sandbox.json')) && (await allReady(portBase)))) {
    if (launcher.exitCode !== null) throw new Error(`the sandbox ended with ${launcher.exitCode}:\n${lastWords()}`)
    if (performance.now() > deadline) throw new Error(`the sandbox was not ready within ${startTakesAtMostMs} ms:\n${lastWords()}`)
    await sleep(50)
  }
}

async function allReady(portBase: number): Promise<boolean> {
  const answers = await Promise.all(
    [4, 5, 6].map((offset) =>
      fetch(`http://127.0.0.1:${portBase + offset}/health/ready`, { signal: AbortSignal.timeout(2_000) }).then(
        ({ ok }) => ok,
        () => false, // Nobody listens yet.
      ),
    ),
  )
  return answers.every(Boolean)
}

function serversOf({ pid }: ChildProcess): readonly number[] {
  if (process.platform !== 'linux') return []
  const found = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), parent: parentOf(name), command: readIfThere(`/proc/${name}/cmdline`) }))
    .filter(({ parent, command }) => parent === pid && servers.some((server) => command.includes(server)))
  if (found.length !== servers.length) throw new Error(`${found.length} server processes found instead of ${servers.length}`)
  return found.map((server) => server.pid)
}

const parentOf = (pid: string) =>
  Number(
    readIfThere(`/proc/${pid}/stat`)
      .replace(/^.*\) /, '')
      .split(' ')[1],
  )

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // The process has ended meanwhile.
  }
}

/** The sandbox keeps the password of its PostgreSQL beside the data folder. */
function adminUrlOf(home: string): string {
  const folder = readdirSync(home)
    .map((name) => path.join(home, name))
    .find((candidate) => existsSync(path.join(candidate, 'data/postmaster.pid')))
  if (folder === undefined) throw new Error(`no PostgreSQL runs in ${home}`)
  const port = readFileSync(path.join(folder, 'data/postmaster.pid'), 'utf8').split('\n')[3]
  const url = new URL(`postgresql://bankside@127.0.0.1:${port}/postgres`)
  url.password = readFileSync(path.join(folder, 'password'), 'utf8').trim()
  return url.href
}
