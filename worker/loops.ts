import { endUnclaimedConsents } from '@bankside/bank/consents/end-unclaimed-consents'
import { expireConsents } from '@bankside/bank/consents/expire-consents'
import { deliverEvents } from '@bankside/bank/events/deliver-events'
import type { PaymentId } from '@bankside/bank/ids'
import { expireHolds } from '@bankside/bank/ledger/expire-holds'
import { advancePayments } from '@bankside/bank/payments/advance-payments'
import { assertWhoChecks } from '@bankside/bank/payments/who-checks'
import type { PaymentCheck } from '@bankside/bank/risk/payment-check'
import type { Log } from '@bankside/service-kit/log'
import type { Database } from '@bankside/service-kit/postgres'
import { type AuditLoopNeeds, auditLoops } from './audit-loops.ts'
import { certificateLoop } from './certificate-loop.ts'
import { deliverNotifications, type NotificationNeeds } from './deliver-notifications.ts'
import { dropExpiredRows } from './drop-expired-rows.ts'
import { keepPartitions } from './keep-partitions.ts'
import { type LicenceLoopNeeds, licenceLoops } from './licence-loops.ts'
import { reconcileLoop } from './reconcile-loop.ts'
import type { Loop } from './run-loop.ts'
import { measureBacklog, type WorkerMetrics } from './worker-metrics.ts'

/** What one round does at most, so that a stop never waits long. */
const paymentsPerRound = 100
const eventsPerRound = 300
const notificationsPerRound = 20
const holdsPerRound = 100
const consentsPerRound = 100
const rowsPerRound = 1_000

export type LoopNeeds = {
  readonly database: Database
  readonly log: Log
  readonly metrics: WorkerMetrics
  readonly notifications: Pick<NotificationNeeds, 'call'> & { readonly keys: () => NotificationNeeds['keys'] }
  readonly licences: LicenceLoopNeeds['licences']
  /** Instead of the built-in check. */
  readonly check?: PaymentCheck | undefined
  /** Where this worker seals the audit tree. */
  readonly audit: Omit<AuditLoopNeeds, 'metrics'> | undefined
}

/** Everything the bank does without being asked. Each may run in many workers at once, and may die at any moment. */
export function bankLoops({ database, log, metrics, notifications, licences, check, audit }: LoopNeeds): readonly Loop[] {
  const tell = (loop: string, error: unknown, facts: object) => {
    metrics.faults.inc({ loop })
    log.error({ err: error, loop, ...facts }, 'one unit of work failed')
  }
  const fault = (loop: string, name: string) => (error: unknown, what: unknown) => tell(loop, error, { [name]: what })
  return [
    paymentLoop({ database, log, check }, fault('advance payments', 'paymentIds')),
    {
      name: 'deliver events',
      idleMs: 500,
      gathers: { atLeast: eventsPerRound, forMs: 500 },
      work: (now) =>
        deliverEvents(database, {
          now,
          limit: eventsPerRound,
          onFault: (error, { id, type, attempts }, outcome) => tell('deliver events', error, { eventId: id, type, attempts, outcome }),
        }),
    },
    {
      name: 'deliver notifications',
      idleMs: 500,
      work: (now) =>
        deliverNotifications(database, {
          call: notifications.call,
          keys: notifications.keys(),
          now,
          limit: notificationsPerRound,
          onFailure: (notification, outcome, why) => log.warn({ ...notification, outcome, why }, 'a client could not be called'),
        }),
    },
    {
      name: 'expire holds',
      idleMs: 30_000,
      work: (now) => expireHolds(database, { now, limit: holdsPerRound, onFault: fault('expire holds', 'holdId') }),
    },
    {
      name: 'expire consents',
      idleMs: 10_000,
      work: (now) => expireConsents(database, { now, limit: consentsPerRound, onFault: fault('expire consents', 'consentId') }),
    },
    {
      name: 'end unclaimed consents',
      idleMs: 30_000,
      work: (now) =>
        endUnclaimedConsents(database, { now, limit: consentsPerRound, onFault: fault('end unclaimed consents', 'consentId') }),
    },
    ...licenceLoops({ database, log, metrics, licences, onFault: fault('end withdrawn access', 'grantId') }),
    certificateLoop({ database, log, metrics }),
    { name: 'keep partitions', idleMs: 5 * 60_000, work: (now) => keepPartitions(database, { now, metrics }) },
    {
      name: 'drop expired rows',
      idleMs: 5 * 60_000,
      work: (now) => dropExpiredRows(database, { now, limit: rowsPerRound, onFault: fault('drop expired rows', 'table') }),
    },
    {
      name: 'measure backlog',
      idleMs: 10_000,
      work: async (now) => {
        await measureBacklog(database, metrics, now)
        return 0
      },
    },
    ...(audit === undefined ? [] : auditLoops({ ...audit, metrics })),
    reconcileLoop({ database, log, metrics }),
  ]
}

const checkedElsewhere =
  'payments are checked elsewhere from now on: none is posted when it comes, and no worker without RISK_CHECK_URL leads one on before npm run payments -- check built-in'

function paymentLoop(
  { database, log, check }: Pick<LoopNeeds, 'database' | 'log' | 'check'>,
  onFault: (error: unknown, paymentIds: readonly PaymentId[]) => void,
): Loop {
  return {
    name: 'advance payments',
    idleMs: 250,
    gathers: { atLeast: paymentsPerRound, forMs: 250 },
    work: async (now) => {
      if (await assertWhoChecks(database, { elsewhere: check !== undefined, now })) log.warn(checkedElsewhere)
      return advancePayments(database, { now, limit: paymentsPerRound, ...(check && { check }), onFault })
    },
  }
}
