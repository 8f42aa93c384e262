import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Credential, createAuthority } from '@bankside/certs/authority'
import { issueServerCertificate, issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { createSigningKeys } from '@bankside/certs/signing-keys'
import { systemClock } from '@bankside/service-kit/clock'
import { createLog } from '@bankside/service-kit/log'
import { createMetrics } from '@bankside/service-kit/metrics'
import { type Database, openDatabase } from '@bankside/service-kit/postgres'
import { openPrepared } from '@bankside/service-kit/prepared'
import { openRedis } from '@bankside/service-kit/redis'
import { createTestDatabase } from '@bankside/service-kit/test-database'
import { createTlsServer, listen } from '@bankside/service-kit/tls-server'
import { importJWK, type JWK, type JWTPayload, SignJWT } from 'jose'
import { createAuthServer } from '../app.ts'
import { readAuthServerConfig } from '../config.ts'
import { requestLimits } from '../http/request-limits.ts'
import type { SigningKey } from '../keys/key-material.ts'
import { createAuthServerMetrics } from '../metrics.ts'
import { openPublished, type Published } from '../published/open-published.ts'
import { type StoredSeals, storedSeals } from '../storage/stored-seals.ts'

export type TestServer = {
  readonly issuer: string
  readonly mtlsIssuer: string
  readonly audiences: { readonly uk: string; readonly bank: string }
  readonly ca: string
  readonly owner: Database
  /** The database as this process's own role reaches it: what somebody can do who has that, and no key. */
  readonly authServerUrl: string
  /** For another process over the same database. */
  readonly urls: { readonly resourceApiUrl: string; readonly workerUrl: string }
  readonly certificate: Credential
  /** One round of what a process does all the time. */
  deliverLogouts(): Promise<number>
  /** As the server signs it, with whatever the test says. */
  signIdToken(claims: JWTPayload): Promise<string>
  /** JSON lines, as they were written. */
  readonly logged: string[]
  readonly dataKey: Buffer
  readonly seals: StoredSeals
  /** A transport certificate of the sandbox's authority, or one by an authority that nobody trusts. */
  issueCertificate(name: string, options?: { untrusted?: boolean }): Promise<Credential>
  stop(): Promise<void>
}

/** What a worker beside the server works with. */
export type ForWorker = { readonly notificationKey: Buffer; readonly workerUrl: string }

/** With its keys a test makes what this server would have made at another time, and with its authority any certificate. */
export type TestServerInside = TestServer &
  ForWorker & {
    readonly signingKeys: readonly JWK[]
    readonly authority: Credential
    readonly published: Published
  }

type Settings = Readonly<Record<string, string>>

/** The whole authorization server in this process, over TLS on free ports, with an empty database of its own. */
export async function startTestServer({
  reach = (url) => url,
  settings = {},
}: {
  reach?: (databaseUrl: string) => string | Promise<string>
  settings?: Settings | ((authority: Credential) => Settings | Promise<Settings>)
} = {}): Promise<TestServerInside> {
  const now = new Date()
  const [authority, other, testDatabase] = await Promise.all([
    createAuthority({ commonName: 'Test authority', now }),
    createAuthority({ commonName: 'Other authority', now }),
    createTestDatabase(),
  ])
  const [ec, rsa] = await Promise.all([
    issueServerCertificate(authority, { keyKind: 'ec', now }),
    issueServerCertificate(authority, { keyKind: 'rsa', now }),
  ])
  const handlers: { issuer?: Handler; mtls?: Handler; deliverLogouts?: () => Promise<number> } = {}
  const listener = { certificates: [ec, rsa], bodilessRequestsAreEnded: true }
  const issuerServer = createTlsServer({ ...listener, requestClientCertificate: false }, (request, response) =>
    handlers.issuer?.(request, response),
  )
  const mtlsServer = createTlsServer({ ...listener, clientCa: authority.cert, requestClientCertificate: true }, (request, response) =>
    handlers.mtls?.(request, response),
  )
  const [issuerPort, mtlsPort] = await Promise.all(
    [issuerServer, mtlsServer].map((server) => listen(server, { port: 0, address: '127.0.0.1' })),
  )
  const issuer = `https://localhost:${issuerPort}`
  const mtlsIssuer = `https://localhost:${mtlsPort}`
  const [dataKey, notificationKey] = [randomBytes(32), randomBytes(32)]
  const signingKeys = await createSigningKeys()
  const config = readAuthServerConfig({
    ...testSettings({ issuer, mtlsIssuer, rsa, ec, clientCa: authority.cert }),
    DATABASE_URL: await reach(testDatabase.authServerUrl),
    SIGNING_KEYS: JSON.stringify(signingKeys),
    SECRETS: JSON.stringify(testSecrets(dataKey)),
    NOTIFICATION_KEYS: notificationKey.toString('base64url'),
    ...(typeof settings === 'function' ? await settings(authority) : settings),
  })
  const database = await openDatabase(config.DATABASE_URL)
  const prepared = openPrepared(config.DATABASE_URL)
  const redis = config.REDIS_URL === undefined ? undefined : await openRedis({ url: config.REDIS_URL, onChange: () => {} })
  const owner = await openDatabase(testDatabase.ownerUrl)
  const logged: string[] = []
  const log = createLog({ level: 'info', name: 'auth-server' }, { write: (line: string) => void logged.push(line) })
  const published = openPublished({ config, database, clock: systemClock, log })
  await published.revocations.refresh()
  Object.assign(
    handlers,
    createAuthServer({
      config,
      database,
      prepared,
      redis,
      clock: systemClock,
      log,
      metrics: createAuthServerMetrics(createMetrics('auth-server')),
      limits: requestLimits(config),
      published,
    }),
  )
  return {
    issuer,
    mtlsIssuer,
    audiences: { uk: config.UK_AUDIENCE, bank: config.BANK_AUDIENCE },
    ca: authority.cert,
    authority,
    owner,
    authServerUrl: testDatabase.authServerUrl,
    urls: testDatabase,
    certificate: ec,
    signIdToken: (claims) => signIdToken(issuer, config.SIGNING_KEYS.keys, claims),
    deliverLogouts: async () => (await handlers.deliverLogouts?.()) ?? 0,
    logged,
    dataKey,
    notificationKey,
    workerUrl: testDatabase.workerUrl,
    seals: storedSeals(config.SECRETS.seal_keys),
    signingKeys: signingKeys.keys,
    issueCertificate: (name, { untrusted = false } = {}) =>
      issueTransportCertificate(untrusted ? other : authority, { organisation: organisationOf(name), keyKind: 'ec', now }),
    published,
    async stop() {
      published.revocations.close()
      for (const server of [issuerServer, mtlsServer]) {
        server.close()
        server.closeAllConnections()
      }
      await Promise.all([database.end(), prepared.end(), redis?.end(), owner.end()])
      await testDatabase.drop()
    },
  }
}

async function signIdToken(issuer: string, keys: readonly SigningKey[], claims: JWTPayload): Promise<string> {
  const key = keys.find(({ alg }) => alg === 'ES256') as JWK
  return new SignJWT({ iss: issuer, ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: key.kid ?? '' })
    .sign(await importJWK(key, 'ES256'))
}

export type ListenerParts = {
  readonly issuer: string
  readonly mtlsIssuer: string
  readonly rsa: Credential
  readonly ec: Credential
  readonly clientCa: string
}

/** All settings of a server but its database, keys and secrets. Ports are placeholders: who listens on some says so. */
export const testSettings = ({ issuer, mtlsIssuer, rsa, ec, clientCa }: ListenerParts): Record<string, string> => ({
  ISSUER: issuer,
  MTLS_ISSUER: mtlsIssuer,
  ISSUER_PORT: '1',
  MTLS_PORT: '1',
  OPERATIONS_PORT: '1',
  UK_AUDIENCE: 'https://localhost:1/open-banking',
  BANK_AUDIENCE: 'https://localhost:1/api/v1',
  TLS_RSA_KEY: rsa.key,
  TLS_RSA_CERT: rsa.cert,
  TLS_EC_KEY: ec.key,
  TLS_EC_CERT: ec.cert,
  CLIENT_CA: clientCa,
  OUTBOUND_CA: clientCa,
  OUTBOUND_PRIVATE_HOSTS: 'localhost',
  NOTIFICATION_KEYS: secret(),
})

const secret = () => randomBytes(32).toString('base64url')

export const testSecrets = (dataKey: Buffer) => ({
  cookie_keys: [secret()],
  pairwise_salt: secret(),
  form_keys: [secret()],
  seal_keys: [secret()],
  dpop_nonce_secrets: [secret()],
  customer_data_keys: [dataKey.toString('base64url')],
})

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown

export const organisationOf = (name: string) => ({
  name: `${name} Ltd`,
  identifier: 'PSDGB-FCA-900101',
  directoryId: `00158${name.replace(/\W/g, '').toUpperCase()}`,
  roles: ['PSP_AI', 'PSP_PI'] as const,
})
