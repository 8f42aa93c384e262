import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '@bankside/service-kit/clock'
import { ConfigError } from '@bankside/service-kit/config'
import { certificatesOf, watchExpiry } from '@bankside/service-kit/expiry'
import { createLog } from '@bankside/service-kit/log'
import { createMetrics } from '@bankside/service-kit/metrics'
import { startOperations } from '@bankside/service-kit/operations-server'
import { runUntilStopped } from '@bankside/service-kit/process-lifecycle'
import { Unavailable } from '@bankside/service-kit/refusal'
import { readSettings } from './config.ts'
import { startResourceApi } from './resource-api.ts'

const name = 'resource-api'
const keysRetryMs = 1_000
const keysAttempts = 30

try {
  await run(readSettings())
} catch (error) {
  if (!(error instanceof ConfigError || error instanceof Unavailable)) throw error
  process.stderr.write(`${name}: ${error.message}\n`)
  process.exitCode = 1
}

async function run(settings: ReturnType<typeof readSettings>): Promise<void> {
  const log = createLog({ level: settings.logLevel, name })
  const registry = createMetrics(name)
  const api = await startResourceApi({ ...settings, clock: systemClock, log, registry })
  const operations = await startOperations({ ...settings.operations, checks: api.checks, registry })
  const expiry = watchExpiry({ registry, clock: systemClock, log, find: () => certificatesOf(settings.ownCertificates) })
  await expiry.look()
  await firstKeys(api.checks.issuer_keys)
  runUntilStopped({
    log,
    stop: async () => {
      operations.drain()
      expiry.close()
      await api.close()
      await operations.close()
    },
  })
}

/** The authorization server may start a moment later. Without its keys this process serves, and answers 503, until they come. */
async function firstKeys(load: () => Promise<void>): Promise<void> {
  for (let attempt = 1; attempt <= keysAttempts; attempt++) {
    try {
      return await load()
    } catch {
      await sleep(keysRetryMs)
    }
  }
}
