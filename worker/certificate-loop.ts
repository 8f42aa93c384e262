import { listExpiringCertificates, takeWarnings } from '@bankside/bank/clients/expiring-certificates'
import type { Log } from '@bankside/service-kit/log'
import type { Database } from '@bankside/service-kit/postgres'
import type { Loop } from './run-loop.ts'
import type { WorkerMetrics } from './worker-metrics.ts'

export type CertificateLoopNeeds = {
  readonly database: Database
  readonly log: Log
  readonly metrics: Pick<WorkerMetrics, 'certificateLeft'>
}

const dayMs = 86_400_000

/** Who comes with a certificate that ends soon would be refused one day without knowing why: somebody tells it before (CERT-15). */
export const certificateLoop = ({ database, log, metrics }: CertificateLoopNeeds): Loop => ({
  name: 'watch certificates',
  idleMs: 10 * 60_000,
  work: async (now) => {
    metrics.certificateLeft.reset()
    for (const { clientId, expiresAt } of await listExpiringCertificates(database, now))
      metrics.certificateLeft.set({ client_id: clientId }, Math.round((expiresAt.getTime() - now.getTime()) / 1_000))
    for (const warning of await takeWarnings(database, now)) {
      const daysLeft = Math.floor((warning.expiresAt.getTime() - now.getTime()) / dayMs)
      log.warn({ ...warning, daysLeft }, 'the certificate of a third party ends soon, and no other was seen')
    }
    return 0
  },
})
