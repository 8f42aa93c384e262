import { join, resolve } from 'node:path'
import { ConfigError, databaseUrl, logLevel, port, readConfig, redisUrl } from '@bankside/service-kit/config'
import { z } from 'zod'
import { Problem } from './problem.ts'

export const repository = join(import.meta.dirname, '..')

const portsPerSandbox = 10
const customersAtMost = 100_000

const schema = z.object({
  BANKSIDE_HOME: z.string().default(join(repository, '.bankside')),
  BANKSIDE_PORT_BASE: port.default(4_430).refine((base) => base + portsPerSandbox <= 65_536, 'leaves no room for ten ports'),
  BANKSIDE_SANDBOX_CUSTOMERS: z
    .string()
    .regex(/^[0-9]{1,6}$/, 'must be a number')
    .transform(Number)
    .refine((count) => count <= customersAtMost, `must be at most ${customersAtMost}`)
    .default(0),
  BANKSIDE_SANDBOX_CLIENTS: z.string().optional(),
  BANKSIDE_LOG_LEVEL: logLevel,
  /** Requests per second, instead of each limit that the servers have by themselves: for measuring. */
  BANKSIDE_RATE_LIMIT: z
    .string()
    .regex(/^[1-9][0-9]{0,6}$/, 'must be a number of requests per second')
    .optional(),
  DATABASE_URL: databaseUrl.optional(),
  REDIS_URL: redisUrl.optional(),
  REDIS_CA: z.string().optional(),
})

export type Settings = {
  readonly home: string
  readonly ports: Ports
  /** An external PostgreSQL, as its owner. */
  readonly databaseUrl: string | undefined
  /** For the short-lived artifacts of the authorization server. */
  readonly redis: { readonly url: string; readonly ca: string | undefined } | undefined
  readonly generatedCustomers: number
  /** Of more clients. */
  readonly clientsFile: string | undefined
  readonly logLevel: string
  readonly rateLimit: string | undefined
}

export type Ports = ReturnType<typeof portsFrom>

/** @throws {Problem} naming every setting that is wrong. */
export function readSettings(): Settings {
  try {
    const given = readConfig(schema)
    return {
      home: resolve(given.BANKSIDE_HOME),
      ports: portsFrom(given.BANKSIDE_PORT_BASE),
      databaseUrl: given.DATABASE_URL,
      redis: given.REDIS_URL === undefined ? undefined : { url: given.REDIS_URL, ca: given.REDIS_CA },
      generatedCustomers: given.BANKSIDE_SANDBOX_CUSTOMERS,
      clientsFile: given.BANKSIDE_SANDBOX_CLIENTS && resolve(given.BANKSIDE_SANDBOX_CLIENTS),
      logLevel: given.BANKSIDE_LOG_LEVEL,
      rateLimit: given.BANKSIDE_RATE_LIMIT,
    }
  } catch (error) {
    throw error instanceof ConfigError ? new Problem(error.message) : error
  }
}

/** Nothing of ours listens on the ninth, to which third parties are redirected. */
function portsFrom(base: number) {
  return {
    base,
    issuer: base,
    mtlsIssuer: base + 1,
    resourceApi: base + 2,
    approvalDesk: base + 3,
    authServerOperations: base + 4,
    resourceApiOperations: base + 5,
    workerOperations: base + 6,
    postgres: base + 7,
    thirdParty: base + 8,
    directory: base + 9,
  } as const
}

export type Origins = {
  readonly issuer: string
  readonly mtlsIssuer: string
  readonly resourceApi: string
  readonly directory: string
  readonly ukAudience: string
  readonly bankAudience: string
}

export function originsOf(ports: Ports): Origins {
  const resourceApi = `https://localhost:${ports.resourceApi}`
  return {
    issuer: `https://localhost:${ports.issuer}`,
    mtlsIssuer: `https://localhost:${ports.mtlsIssuer}`,
    resourceApi,
    directory: `https://localhost:${ports.directory}`,
    ukAudience: `${resourceApi}/open-banking`,
    bankAudience: `${resourceApi}/api/v1`,
  }
}

/** Where everything of a sandbox is. */
export function placesIn(home: string) {
  return {
    startLock: join(home, 'start.lock'),
    processes: join(home, 'processes.json'),
    sandboxFile: join(home, 'sandbox.json'),
    secrets: join(home, 'secrets.json'),
    notificationKey: join(home, 'notification-key'),
    certificates: join(home, 'certs'),
    signingKeys: join(home, 'certs', 'signing-keys.json'),
    audit: join(home, 'audit'),
    auditKeys: join(home, 'audit', 'keys.json'),
    auditPublicKeys: join(home, 'audit', 'public-keys.json'),
    auditCheckpoints: join(home, 'audit', 'checkpoints.jsonl'),
    directory: join(home, 'directory'),
    thirdParties: join(home, 'third-parties'),
    postgres: join(home, 'postgres'),
    logs: join(home, 'logs'),
  } as const
}
