import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from './free-ports.ts'
import { redisUsers } from './redis.ts'

/** For the `skip` of a test: no package carries Redis, so it is there where somebody installed it. */
export const withoutRedis: string | false =
  spawnSync('redis-server', ['--version']).status === 0 ? false : 'redis-server is not installed: apt-get install redis-server'

export type TestRedis = {
  readonly url: string
  /** Of somebody who may do everything. */
  readonly operatorUrl: string
  readonly port: number
  /** As `kill -9` does. */
  kill(): Promise<void>
  /** Again, with what it had written. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export type TestRedisOptions = {
  /** Beside, or instead of, what keeps everything it is told. */
  readonly settings?: Readonly<Record<string, string>>
  readonly tls?: { readonly key: string; readonly cert: string; readonly ca: string }
}

const startTakesAtMostMs = 10_000

/** A real redis-server of one's own, on a free port, with the ACL user that ours is. */
export async function startTestRedis({ settings = {}, tls }: TestRedisOptions = {}): Promise<TestRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'bankside-redis-'))
  const port = await freePorts()
  const password = randomBytes(16).toString('hex')
  writeFileSync(join(folder, 'users.acl'), `${[`user operator on >${password} ~* &* +@all`, ...redisUsers(password)].join('\n')}\n`)
  const lines: Record<string, string> = {
    bind: '127.0.0.1',
    dir: folder,
    aclfile: join(folder, 'users.acl'),
    save: '""',
    appendonly: 'yes',
    appendfsync: 'always',
    'maxmemory-policy': 'noeviction',
    ...(tls ? tlsSettings(folder, port, tls) : { port: String(port) }),
    ...settings,
  }
  writeFileSync(
    join(folder, 'redis.conf'),
    Object.entries(lines)
      .map(([name, value]) => `${name} ${value}\n`)
      .join(''),
  )
  let child: ChildProcess
  const start = async () => {
    const started = spawn('redis-server', [join(folder, 'redis.conf')], { stdio: ['ignore', 'pipe', 'ignore'] })
    child = started
    process.once('exit', () => started.kill('SIGKILL'))
    let said = ''
    started.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    for (const deadline = performance.now() + startTakesAtMostMs; !said.includes('Ready to accept connections'); await sleep(10))
      if (performance.now() > deadline || started.exitCode !== null) throw new Error(`redis-server did not start: ${said}`)
  }
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await start()
  const urlOf = (user: string) => `${tls ? 'rediss' : 'redis'}://${user}:${password}@${tls ? 'localhost' : '127.0.0.1'}:${port}`
  return {
    url: urlOf('bankside'),
    operatorUrl: urlOf('operator'),
    port,
    kill,
    restart: start,
    async stop() {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function tlsSettings(folder: string, port: number, { key, cert, ca }: NonNullable<TestRedisOptions['tls']>): Record<string, string> {
  const files = { 'tls-key-file': key, 'tls-cert-file': cert, 'tls-ca-cert-file': ca }
  for (const [name, pem] of Object.entries(files)) writeFileSync(join(folder, name), pem)
  const paths = Object.keys(files).map((name) => [name, join(folder, name)])
  return { port: '0', 'tls-port': String(port), 'tls-auth-clients': 'no', ...Object.fromEntries(paths) }
}
