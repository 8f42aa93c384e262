import { systemClock } from '@bankside/service-kit/clock'
import { certificatesOf, endOfRing, watchExpiry } from '@bankside/service-kit/expiry'
import { createGuardedFetch } from '@bankside/service-kit/guarded-fetch'
import { createLog } from '@bankside/service-kit/log'
import { createMetrics } from '@bankside/service-kit/metrics'
import { startOperations } from '@bankside/service-kit/operations-server'
import { openDatabase, reading, sql } from '@bankside/service-kit/postgres'
import { runUntilStopped } from '@bankside/service-kit/process-lifecycle'
import { auditKeysFromSettings, sealingOf } from './audit-settings.ts'
import { readWorkerConfig } from './config.ts'
import { bankLoops } from './loops.ts'
import { notificationKeys } from './notification-keys.ts'
import { outsideCheck } from './outside-check.ts'
import { outsideCheckGuard, outsideCheckOf } from './outside-check-settings.ts'
import { openRegisters } from './registers.ts'
import { runLoop } from './run-loop.ts'
import { createWorkerMetrics } from './worker-metrics.ts'

/** After a standstill many rows wait. Nobody waits for them. */
const sealingMayTakeMs = 120_000

const config = readWorkerConfig()
const log = createLog({ level: config.LOG_LEVEL, name: 'worker' })
const registry = createMetrics('worker')
const metrics = createWorkerMetrics(registry)
const database = await openDatabase(config.DATABASE_URL)
const call = createGuardedFetch({ ca: config.OUTBOUND_CA, privateHosts: config.OUTBOUND_PRIVATE_HOSTS })
const sealing = sealingOf(config)
const asking = outsideCheckOf(config)
const check =
  asking &&
  outsideCheck({
    ...asking,
    call: createGuardedFetch(outsideCheckGuard(config, asking)),
    onAnswers: (verdict, count) => metrics.outsideAnswers.inc({ verdict }, count),
    onUnavailable: (why, payments) => log.error({ why, payments }, 'the check elsewhere did not answer'),
  })
const sealer = sealing && (await openDatabase(sealing.databaseUrl, { maxConnections: 2, statementTimeoutMs: sealingMayTakeMs }))
const loops = bankLoops({
  ...{ database, log, metrics, notifications: { keys: notificationKeys({ clock: systemClock, log }), call } },
  licences: { registers: openRegisters(config.REGISTERS, call), silentAtMostMs: config.REGISTER_SILENT_HOURS * 3_600_000 },
  check,
  audit: sealing && sealer && { sealer, checkpoints: sealing.checkpoints, keys: auditKeysFromSettings },
})

const operations = await startOperations({
  port: config.OPERATIONS_PORT,
  address: config.OPERATIONS_ADDRESS,
  checks: { database: () => reading(database.query(sql.unsafe`select 1`)) },
  registry,
})

const expiry = watchExpiry({
  ...{ registry, clock: systemClock, log },
  find: async () => [
    ...certificatesOf({ OUTBOUND_CA: config.OUTBOUND_CA, RISK_CHECK_CA: config.RISK_CHECK_CA, RISK_CHECK_CERT: config.RISK_CHECK_CERT }),
    ...(sealing === undefined ? [] : endOfRing('audit key', (await auditKeysFromSettings.read()).keys)),
  ],
})
await expiry.look()

const stopping = new AbortController()
const running = loops.map((loop) =>
  runLoop(loop, {
    clock: systemClock,
    signal: stopping.signal,
    onRound: ({ name }, done, seconds) => {
      metrics.rounds.observe({ loop: name }, seconds)
      metrics.done.inc({ loop: name }, done)
    },
    onFault: ({ name }, error) => {
      metrics.faults.inc({ loop: name })
      log.error({ err: error, loop: name }, 'a round failed')
    },
  }),
)

runUntilStopped({
  log,
  stop: async () => {
    operations.drain()
    expiry.close()
    stopping.abort()
    await Promise.all(running)
    await Promise.all([database.end(), sealer?.end()])
    await operations.close()
  },
})
