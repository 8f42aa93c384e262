import { endWithdrawnAccess } from '@bankside/bank/consents/end-withdrawn-access'
import { askRegisters, longestSilenceMs, type Registers } from '@bankside/bank/licences/ask-registers'
import type { Log } from '@bankside/service-kit/log'
import type { Database } from '@bankside/service-kit/postgres'
import type { Loop } from './run-loop.ts'
import type { WorkerMetrics } from './worker-metrics.ts'

export type LicenceLoopNeeds = {
  readonly database: Database
  readonly log: Log
  readonly metrics: Pick<WorkerMetrics, 'registerSilence'>
  readonly licences: { readonly registers: Registers; readonly silentAtMostMs: number }
  /** Of a grant that cannot be ended. */
  readonly onFault: (error: unknown, grantId: string) => void
}

const organisationsPerRound = 20
const grantsPerRound = 100

/** Whether third parties are still authorised, and what follows when they are not (CERT-08). */
export function licenceLoops({
  database,
  log,
  metrics,
  licences: { registers, silentAtMostMs },
  onFault,
}: LicenceLoopNeeds): readonly Loop[] {
  return [
    {
      name: 'ask registers',
      idleMs: 2_000,
      work: async (now) => {
        if (registers.size === 0) return 0
        const asked = await askRegisters(database, {
          ...{ registers, now, limit: organisationsPerRound },
          onChange: ({ clientId, change }, organisation) =>
            log[change === 'withdrawn' ? 'warn' : 'info'](
              { clientId, change, ...organisation },
              'a register says something new of a client',
            ),
          onFailure: (err, organisation, silentMs) => {
            const facts = { err, ...organisation, silentSeconds: Math.round(silentMs / 1_000) }
            if (silentMs > silentAtMostMs) log.error(facts, 'a register has been silent for too long')
            else log.warn(facts, 'a register does not answer: what it said last holds')
          },
        })
        metrics.registerSilence.set((await longestSilenceMs(database, registers.keys(), now)) / 1_000)
        return asked
      },
    },
    { name: 'end withdrawn access', idleMs: 5_000, work: (now) => endWithdrawnAccess(database, { now, limit: grantsPerRound, onFault }) },
  ]
}
