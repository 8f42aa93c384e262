import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readSandbox, type SandboxDescription } from './description.ts'
import { createOwnDatabase, type OwnDatabase, sharedServer } from './own-database.ts'
import { freePortBlock } from './port-block.ts'

/** A sandbox of one's own: its folder, its ports, its database. */
export type RunningSandbox = {
  readonly description: SandboxDescription
  readonly home: string
  readonly portBase: number
  readonly launcher: ChildProcess
  /** What the launcher has said so far. */
  readonly output: () => string
  /** The owner's URL of its database. */
  readonly databaseUrl: string
  readonly embedded: boolean
  /** Ctrl-C, and what a person may expect of it: everything has ended within the time. */
  interrupt(): Promise<number | null>
  /** Interrupts it if it still runs, and removes what it left. */
  remove(): Promise<void>
}

export type SandboxOptions = {
  /** Goes on with a folder, ports and database that an earlier sandbox used. */
  readonly after?: Pick<RunningSandbox, 'home' | 'portBase' | 'databaseUrl' | 'embedded'>
  /** A PostgreSQL of its own, as `npm start` has it, even when the tests share one. */
  readonly embedded?: boolean
  /** More clients, as the file of `BANKSIDE_SANDBOX_CLIENTS` has them. */
  readonly clients?: readonly Readonly<Record<string, unknown>>[]
}

const repository = path.join(import.meta.dirname, '../..')
const startTakesAtMostMs = 120_000
const stopTakesAtMostMs = 30_000

export async function startSandbox({ after, embedded = after?.embedded ?? false, clients }: SandboxOptions = {}): Promise<RunningSandbox> {
  const home = after?.home ?? mkdtempSync(path.join(tmpdir(), 'bankside sandbox '))
  const portBase = after?.portBase ?? (await freePortBlock())
  const own: OwnDatabase | undefined = after === undefined && !embedded ? await createOwnDatabase(sharedServer()) : undefined
  const external = embedded ? undefined : (after?.databaseUrl ?? own?.url)
  const clientsFile = clients && path.join(home, 'clients.json')
  if (clientsFile) writeFileSync(clientsFile, JSON.stringify({ clients }))
  const launched = launch({ home, portBase, databaseUrl: external, clientsFile })
  try {
    await ready(launched, home, portBase)
  } catch (error) {
    await stop(launched.launcher)
    throw error
  }
  const interrupt = () => stop(launched.launcher)
  return {
    description: readSandbox(home),
    home,
    portBase,
    ...launched,
    databaseUrl: external ?? embeddedUrl(home, portBase),
    embedded,
    interrupt,
    async remove() {
      await interrupt()
      await own?.drop()
      if (after === undefined) rmSync(home, { recursive: true, force: true })
    },
  }
}

/** PostgreSQL's superuser and password stand beside its data. */
function embeddedUrl(home: string, portBase: number): string {
  const password = readFileSync(path.join(home, 'postgres/password'), 'utf8')
  return `postgresql://bankside:${password}@127.0.0.1:${portBase + 7}/bankside`
}

export type Launched = Pick<RunningSandbox, 'launcher' | 'output'>

/** Starts the launcher and waits for nothing. */
type Launching = { home: string; portBase: number; databaseUrl?: string | undefined; clientsFile?: string | undefined }

export function launch({ home, portBase, databaseUrl, clientsFile }: Launching): Launched {
  const { DATABASE_URL: _, ...environment } = process.env
  const launcher = spawn(process.execPath, [path.join(repository, 'sandbox/start.ts')], {
    cwd: repository,
    env: {
      ...environment,
      BANKSIDE_HOME: home,
      BANKSIDE_PORT_BASE: String(portBase),
      ...(databaseUrl ? { DATABASE_URL: databaseUrl } : {}),
      ...(clientsFile ? { BANKSIDE_SANDBOX_CLIENTS: clientsFile } : {}),
      NODE_TEST_CONTEXT: undefined,
    },
    // With a channel the launcher ends when this program is gone, however it went.
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  let said = ''
  launcher.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text))
  launcher.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text))
  return { launcher, output: () => said }
}

/** Ready means: described, and each process says so itself. */
async function ready({ launcher, output }: Launched, home: string, portBase: number): Promise<void> {
  const deadline = performance.now() + startTakesAtMostMs
  const processes = [portBase + 4, portBase + 5, portBase + 6]
  while (!(existsSync(path.join(home, 'sandbox.json')) && (await areReady(processes)))) {
    if (launcher.exitCode !== null) throw new Error(`the sandbox ended with ${launcher.exitCode}:\n${output().slice(-3000)}`)
    if (performance.now() > deadline) throw new Error(`the sandbox was not ready in ${startTakesAtMostMs} ms:\n${output().slice(-3000)}`)
    await sleep(50)
  }
}

export const areReady = async (operationsPorts: readonly number[]): Promise<boolean> =>
  (await Promise.all(operationsPorts.map(isReady))).every(Boolean)

/** Asks a process's private listener. */
export function isReady(operationsPort: number): Promise<boolean> {
  return new Promise((answer) => {
    const probe = request({ host: '127.0.0.1', port: operationsPort, path: '/health/ready', timeout: 2000 }, (response) => {
      response.resume()
      answer(response.statusCode === 200)
    })
    probe.once('timeout', () => probe.destroy())
    probe.once('error', () => answer(false))
    probe.end()
  })
}

async function stop(launcher: ChildProcess): Promise<number | null> {
  if (launcher.exitCode === null && launcher.signalCode === null) {
    const ended = once(launcher, 'exit')
    launcher.kill('SIGINT')
    const inTime = await Promise.race([ended.then(() => true), sleep(stopTakesAtMostMs, false, { ref: false })])
    if (!inTime) {
      launcher.kill('SIGKILL')
      await ended
      throw new Error(`the sandbox did not stop in ${stopTakesAtMostMs} ms`)
    }
  }
  return launcher.exitCode
}
