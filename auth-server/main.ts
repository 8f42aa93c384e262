import { type Resealed, resealTotpSecrets } from '@bankside/bank/customers/reseal-totp-secrets'
import { systemClock } from '@bankside/service-kit/clock'
import { certificatesOf, watchExpiry } from '@bankside/service-kit/expiry'
import { createLog } from '@bankside/service-kit/log'
import { createMetrics } from '@bankside/service-kit/metrics'
import { startOperations } from '@bankside/service-kit/operations-server'
import { openDatabase, reading, sql } from '@bankside/service-kit/postgres'
import { openPrepared } from '@bankside/service-kit/prepared'
import { runUntilStopped } from '@bankside/service-kit/process-lifecycle'
import { openRedis } from '@bankside/service-kit/redis'
import { firstLists } from '@bankside/service-kit/revocation-lists'
import { createTlsServer, drain, listen } from '@bankside/service-kit/tls-server'
import type { Config } from './config.ts'
import { useOwnModules } from './library/use-own-modules.ts'
import { createAuthServerMetrics } from './metrics.ts'
import { resealStored } from './storage/reseal.ts'
import { storedSeals } from './storage/stored-seals.ts'

const drainMs = 10_000

// Before anything that imports the library: the configuration does, too.
const ownModules = useOwnModules()
const { createAuthServer } = await import('./app.ts')
const { readAuthServerConfig } = await import('./config.ts')
const { followKeys } = await import('./keys/follow-keys.ts')
const { keepDelivering } = await import('./logout/keep-delivering.ts')
const { requestLimits } = await import('./http/request-limits.ts')
const { keysFromSettings } = await import('./keys/key-source.ts')
const { keyExpiry } = await import('./keys/key-expiry.ts')
const { openPublished } = await import('./published/open-published.ts')
ownModules.assertInPlace()

const config = readAuthServerConfig()
const log = createLog({ level: config.LOG_LEVEL, name: 'auth-server' })
const registry = createMetrics('auth-server')
const database = await openDatabase(config.DATABASE_URL)
const prepared = openPrepared(config.DATABASE_URL)
const redis =
  config.REDIS_URL === undefined ? undefined : await openRedis({ url: config.REDIS_URL, ca: config.REDIS_CA, onChange: tellOfRedis })

const published = openPublished({ config, database, clock: systemClock, log })
await firstLists(published.revocations)
const dependencies = {
  config,
  database,
  prepared,
  redis,
  clock: systemClock,
  log,
  metrics: createAuthServerMetrics(registry),
  limits: requestLimits(config),
  published,
}
const keySource = keysFromSettings()
const { handlers, ...keys } = followKeys(createAuthServer, dependencies, { source: keySource, onChange: reseal })
const expiry = watchExpiry({
  ...{ registry, clock: systemClock, log },
  find: async () => [
    ...certificatesOf({ TLS_EC_CERT: config.TLS_EC_CERT, TLS_RSA_CERT: config.TLS_RSA_CERT }),
    ...certificatesOf({ CLIENT_CA: config.CLIENT_CA, OUTBOUND_CA: config.OUTBOUND_CA }),
    ...keyExpiry(await keySource.read()),
  ],
})
await expiry.look()
reseal(config)
const certificates = [
  { key: config.TLS_EC_KEY, cert: config.TLS_EC_CERT },
  { key: config.TLS_RSA_KEY, cert: config.TLS_RSA_CERT },
]
const listener = { certificates, bodilessRequestsAreEnded: true }
const issuer = createTlsServer({ ...listener, requestClientCertificate: false }, handlers.issuer)
const mtls = createTlsServer({ ...listener, clientCa: config.CLIENT_CA, requestClientCertificate: true }, handlers.mtls)
const address = config.LISTEN_ADDRESS
const operations = await startOperations({
  port: config.OPERATIONS_PORT,
  address: config.OPERATIONS_ADDRESS,
  checks: { database: () => reading(database.query(sql.unsafe`select 1`)), ...(redis && { redis: redis.check }) },
  registry,
})
await Promise.all([listen(issuer, { port: config.ISSUER_PORT, address }), listen(mtls, { port: config.MTLS_PORT, address })])

function tellOfRedis(state: 'lost' | 'ready' | 'unfit', reason: string): void {
  log[state === 'ready' ? 'info' : 'error']({ redis: state }, reason)
}

const stopDelivering = keepDelivering(handlers.deliverLogouts, log)

/** Beside everything else, and again at the next start when it was cut short. */
function reseal({ SECRETS }: Config): void {
  const cutShort = (error: unknown) => log.warn({ err: error }, 'sealing anew was cut short')
  resealStored(prepared, storedSeals(SECRETS.seal_keys), log).catch(cutShort)
  resealTotpSecrets(database, SECRETS.customer_data_keys).then(tellOfSecrets, cutShort)
}

function tellOfSecrets({ sealed, unopened }: Resealed): void {
  if (sealed > 0) log.info({ sealed }, 'second factors sealed anew with the newest key')
  if (unopened > 0) log.error({ unopened }, 'no key opens the second factors of some customers: one of customer_data_keys is missing')
}

runUntilStopped({
  log,
  async stop() {
    operations.drain()
    keys.stop()
    expiry.close()
    published.revocations.close()
    await Promise.all([drain(issuer, { limitMs: drainMs }), drain(mtls, { limitMs: drainMs }), stopDelivering()])
    await Promise.all([database.end(), prepared.end(), redis?.end(), operations.close()])
  },
})
