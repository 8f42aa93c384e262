import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority } from '@bankside/certs/authority'
import { issueServerCertificate, issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { createSigningKeys } from '@bankside/certs/signing-keys'
import { compileCache } from '@bankside/service-kit/config'
import { freePorts } from '@bankside/service-kit/free-ports'
import { openDatabase } from '@bankside/service-kit/postgres'
import { createTestDatabase, type TestDatabase } from '@bankside/service-kit/test-database'
import { storedSeals } from '../storage/stored-seals.ts'
import { organisationOf, type TestServer, testSecrets, testSettings } from './test-server.ts'

export type ServerProcess = {
  readonly child: ChildProcess
  readonly ports: { readonly issuer: number; readonly mtls: number; readonly operations: number }
  /** As `kill -9` does. */
  kill(): Promise<void>
}

/** Several real authorization-server processes behind one address each for issuer and mTLS, in one database. */
export type ServerProcesses = TestServer & {
  readonly database: TestDatabase
  /** Where their keys and secrets are. */
  readonly files: {
    readonly signingKeys: string
    readonly secrets: string
    readonly ca: string
    readonly cert: string
    readonly key: string
  }
  readonly running: readonly ServerProcess[]
  /** From now on it alone gets connections; undefined shares them out again. */
  prefer(process: ServerProcess | undefined): void
  /** One more, which from now on gets its share of connections. */
  launch(environment?: Readonly<Record<string, string>>): Promise<ServerProcess>
}

export async function startServerProcesses(count: number, environment: Readonly<Record<string, string>> = {}): Promise<ServerProcesses> {
  const now = new Date()
  const folder = mkdtempSync(join(tmpdir(), 'bankside-processes-'))
  const [authority, other, database, keys] = await Promise.all([
    createAuthority({ commonName: 'Test authority', now }),
    createAuthority({ commonName: 'Other authority', now }),
    createTestDatabase(),
    createSigningKeys(),
  ])
  const [ec, rsa] = await Promise.all((['ec', 'rsa'] as const).map((keyKind) => issueServerCertificate(authority, { keyKind, now })))
  if (ec === undefined || rsa === undefined) throw new Error('no certificates')
  const dataKey = randomBytes(32)
  const secrets = testSecrets(dataKey)
  const seals = storedSeals(secrets.seal_keys.map((key) => Buffer.from(key, 'base64url')))
  const write = (name: string, content: string) => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  const files = {
    signingKeys: write('signing-keys.json', JSON.stringify(keys)),
    secrets: write('secrets.json', JSON.stringify(secrets)),
    ca: write('ca.pem', authority.cert),
    cert: write('server.pem', ec.cert),
    key: write('server-key.pem', ec.key),
  }
  const running: ServerProcess[] = []
  let preferred: ServerProcess | undefined
  const serving = () => (preferred === undefined ? running : [preferred])
  const [issuerServer, mtlsServer] = [
    balance(() => serving().map(({ ports }) => ports.issuer)),
    balance(() => serving().map(({ ports }) => ports.mtls)),
  ]
  const [issuerPort, mtlsPort] = await Promise.all([issuerServer, mtlsServer].map(listening))
  const [issuer, mtlsIssuer] = [`https://localhost:${issuerPort}`, `https://localhost:${mtlsPort}`]
  const settings: Record<string, string> = {
    ...testSettings({ issuer, mtlsIssuer, rsa, ec, clientCa: authority.cert }),
    DATABASE_URL: database.authServerUrl,
    SIGNING_KEYS_FILE: files.signingKeys,
    SECRETS_FILE: files.secrets,
    ...environment,
  }
  const owner = await openDatabase(database.ownerUrl)
  const logged: string[] = []

  async function launch(more: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
    const issuerAt = await freePorts(3)
    const [mtlsAt, operations] = [issuerAt + 1, issuerAt + 2]
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, '..', 'main.ts')], {
      env: {
        ...compileCache(),
        ...settings,
        ISSUER_PORT: `${issuerAt}`,
        MTLS_PORT: `${mtlsAt}`,
        OPERATIONS_PORT: `${operations}`,
        ...more,
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => void logged.push(...text.trimEnd().split('\n')))
    const launched: ServerProcess = {
      child,
      ports: { issuer: issuerAt, mtls: mtlsAt, operations },
      async kill() {
        child.kill('SIGKILL')
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      },
    }
    child.once('exit', () => void (running.includes(launched) && running.splice(running.indexOf(launched), 1)))
    const ended = once(child, 'exit').then(() => Promise.reject(new Error(`it did not start:\n${logged.slice(-5).join('\n')}`)))
    ended.catch(() => {})
    await Promise.race([once(child, 'message'), ended])
    running.push(launched)
    return launched
  }

  const stop = async () => {
    await Promise.all([...running].map((one) => one.kill()))
    for (const server of [issuerServer, mtlsServer]) server.close()
    await owner.end()
    await database.drop()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await Promise.all(Array.from({ length: count }, () => launch()))
  } catch (error) {
    await stop()
    throw error
  }
  return {
    ...{
      issuer,
      mtlsIssuer,
      ca: authority.cert,
      owner,
      authServerUrl: database.authServerUrl,
      logged,
      dataKey,
      seals,
      database,
      files,
      running,
      prefer: (one: ServerProcess | undefined) => {
        preferred = one
      },
      launch,
      stop,
    },
    audiences: { uk: settings['UK_AUDIENCE'] ?? '', bank: settings['BANK_AUDIENCE'] ?? '' },
    urls: database,
    certificate: ec,
    deliverLogouts: async () => 0,
    signIdToken: () => Promise.reject(new Error('its keys are its own')),
    issueCertificate: (name, { untrusted = false } = {}) =>
      issueTransportCertificate(untrusted ? other : authority, { organisation: organisationOf(name), keyKind: 'ec', now }),
  }
}

/** Passes connections on as they are, to one process after the other: TLS ends there. */
function balance(targets: () => readonly number[]): Server {
  let next = 0
  return createServer((socket) => {
    const ports = targets()
    const port = ports[next++ % Math.max(1, ports.length)]
    socket.on('error', () => socket.destroy())
    if (port === undefined) return void socket.destroy()
    const onward = connect({ port, host: '127.0.0.1' })
    onward.on('error', () => socket.destroy())
    socket.on('close', () => onward.destroy())
    onward.on('close', () => socket.destroy())
    socket.pipe(onward).pipe(socket)
  })
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}
