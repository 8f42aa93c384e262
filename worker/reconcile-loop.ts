import { freezeAtMost, freezeTouched } from '@bankside/bank/ledger/freeze-accounts'
import { reconcileSince, reconcileWhole } from '@bankside/bank/ledger/reconcile'
import { keepReport, keptDiscrepancies, recentSince, takeWhole } from '@bankside/bank/ledger/reconciliation-reports'
import type { Log } from '@bankside/service-kit/log'
import type { Database } from '@bankside/service-kit/postgres'
import type { Loop } from './run-loop.ts'
import type { WorkerMetrics } from './worker-metrics.ts'

export type ReconcileNeeds = {
  readonly database: Database
  readonly log: Log
  readonly metrics: Pick<WorkerMetrics, 'reconciledAt' | 'discrepancies' | 'accountsFrozen'>
}

const everyMs = 15 * 60_000

/** The whole once a day, by one worker; what was booked since, by each, in between. What does not agree is told, counted and frozen. */
export const reconcileLoop = ({ database, log, metrics }: ReconcileNeeds): Loop => ({
  name: 'reconcile',
  idleMs: everyMs,
  isPeriodic: true,
  work: async (now) => {
    const scope = (await takeWhole(database, now)) ? 'whole' : 'recent'
    const reconciled = scope === 'whole' ? await reconcileWhole(database) : await reconcileSince(database, await recentSince(database))
    await keepReport(database, scope, reconciled, now)
    for (const discrepancy of reconciled.discrepancies)
      log.error({ ...discrepancy, discrepancy: discrepancy.name, scope }, 'the books do not agree')
    const frozen = await freezeTouched(database, reconciled.discrepancies, now)
    if (frozen === undefined) log.error({ atMost: freezeAtMost }, 'too many accounts are touched: none was frozen, a person must look')
    else if (frozen.length > 0) log.error({ accounts: frozen }, 'accounts are frozen until somebody lifts it')
    metrics.accountsFrozen.inc(frozen?.length ?? 0)
    metrics.reconciledAt.set(now.getTime() / 1000)
    metrics.discrepancies.reset()
    for (const { name } of await keptDiscrepancies(database)) metrics.discrepancies.inc({ name })
    return 0
  },
})
