import { Counter, Gauge, Histogram, type Registry } from '@bankside/service-kit/metrics'
import { type Database, reading, sql, z } from '@bankside/service-kit/postgres'

export type WorkerMetrics = ReturnType<typeof createWorkerMetrics>

export function createWorkerMetrics(registry: Registry) {
  const registers = [registry]
  return {
    rounds: new Histogram({
      name: 'bankside_worker_round_seconds',
      help: 'Time a round of a loop took',
      labelNames: ['loop'],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    }),
    done: new Counter({ name: 'bankside_worker_done_total', help: 'Units of work a loop has finished', labelNames: ['loop'], registers }),
    faults: new Counter({ name: 'bankside_worker_faults_total', help: 'Faults in a loop', labelNames: ['loop'], registers }),
    ...paymentMetrics(registers),
    eventsWaiting: new Gauge({ name: 'bankside_events_waiting', help: 'Events that are not delivered yet', registers }),
    eventLag: new Gauge({ name: 'bankside_events_lag_seconds', help: 'How long the oldest event that is due has waited', registers }),
    notificationsWaiting: new Gauge({ name: 'bankside_notifications_waiting', help: 'Clients of CIBA that are to be called', registers }),
    notificationsGivenUp: new Gauge({
      name: 'bankside_notifications_given_up',
      help: 'Clients of CIBA that could not be called, of the last hours',
      registers,
    }),
    eventsDead: new Gauge({ name: 'bankside_events_dead', help: 'Events that were given up: a person has to look', registers }),
    registerSilence: new Gauge({
      name: 'bankside_register_silence_seconds',
      help: 'How long a register has not answered, about whom it has not answered longest',
      registers,
    }),
    auditSealedAt: new Gauge({ name: 'bankside_audit_sealed_timestamp_seconds', help: 'When nothing was left to seal', registers }),
    auditSignedAt: new Gauge({
      name: 'bankside_audit_signed_timestamp_seconds',
      help: 'When the audit tree was last found signed',
      registers,
    }),
    auditLag: new Gauge({ name: 'bankside_audit_unsealed_seconds', help: 'Age of the oldest record that no seal holds yet', registers }),
    auditLeaves: new Gauge({ name: 'bankside_audit_signed_leaves', help: 'Leaves of the audit tree under its last checkpoint', registers }),
    auditBroken: new Gauge({
      name: 'bankside_audit_broken',
      help: '1 when the audit tree is not what was signed: somebody has rewritten the database',
      registers,
    }),
    certificateLeft: new Gauge({
      name: 'bankside_third_party_certificate_seconds',
      help: 'Seconds that the certificate of a third party has left, where that is less than 30 days',
      labelNames: ['client_id'],
      registers,
    }),
    ...partitionGauges(registers),
    discrepancies: new Gauge({
      name: 'bankside_reconciliation_discrepancies',
      help: 'What the last reconciliation found',
      labelNames: ['name'],
      registers,
    }),
    accountsFrozen: new Counter({
      name: 'bankside_reconciliation_accounts_frozen_total',
      help: 'Accounts of customers that reconciliation froze: each waits for a person',
      registers,
    }),
    reconciledAt: new Gauge({ name: 'bankside_reconciliation_timestamp_seconds', help: 'When the books were last proven', registers }),
  }
}

const paymentMetrics = (registers: Registry[]) => ({
  paymentsWaiting: new Gauge({ name: 'bankside_payments_waiting', help: 'Payments that are held', registers }),
  paymentsInReview: new Gauge({ name: 'bankside_payments_in_review', help: 'Payments that wait for a person', registers }),
  paymentLag: new Gauge({
    name: 'bankside_payments_lag_seconds',
    help: 'Age of the oldest payment that waits for the worker',
    registers,
  }),
  outsideAnswers: new Counter({
    name: 'bankside_outside_check_payments_total',
    help: 'Payments that a check elsewhere answered about, by what it said, or did not',
    labelNames: ['verdict'],
    registers,
  }),
})

const partitionGauges = (registers: Registry[]) => ({
  partitionsToArchive: new Gauge({
    name: 'bankside_partitions_to_archive',
    help: 'Partitions of audit records that have had the years of the law: npm run audit:archive',
    registers,
  }),
  keysWrittenSince: new Gauge({
    name: 'bankside_generation_begun_timestamp_seconds',
    help: 'When the generation of keys began that is written to. Older than two days, and somebody has to look: nothing is dropped',
    labelNames: ['table'],
    registers,
  }),
  partitionsMadeAhead: new Gauge({
    name: 'bankside_partitions_made_ahead_seconds',
    help: 'For how long from now there are partitions. Below an hour somebody has to look',
    labelNames: ['table'],
    registers,
  }),
  rowsWithoutPartition: new Gauge({
    name: 'bankside_rows_without_partition',
    help: 'Rows of lately that found no partition of theirs, up to a thousand',
    labelNames: ['table'],
    registers,
  }),
})

const backlogRow = z.object({
  payments: z.bigint(),
  in_review: z.bigint(),
  oldest_payment: z.date().nullable(),
  events: z.bigint(),
  oldest_event: z.date().nullable(),
  dead: z.bigint(),
  notifications: z.bigint(),
  notifications_given_up: z.bigint(),
})

export async function measureBacklog(database: Database, metrics: WorkerMetrics, now: Date): Promise<void> {
  const row = await reading(
    database.one(sql.type(backlogRow)`
      select
        (select count(*) from payments.payment where status = 'held') as payments,
        (select count(*) from payments.payment where status = 'held' and step = 'review') as in_review,
        (select min(created_at) from payments.payment where status = 'held' and step <> 'review') as oldest_payment,
        (select count(*) from events.event where next_attempt_at is not null) as events,
        (select min(next_attempt_at) from events.event where next_attempt_at is not null) as oldest_event,
        (select count(*) from events.event where dead_at is not null) as dead,
        (select count(*) from oidc.backchannel_notification where next_attempt_at is not null) as notifications,
        (select count(*) from oidc.backchannel_notification where given_up_at is not null) as notifications_given_up`),
  )
  const ageSeconds = (since: Date | null) => (since === null ? 0 : Math.max(0, (now.getTime() - since.getTime()) / 1000))
  metrics.paymentsWaiting.set(Number(row.payments))
  metrics.paymentsInReview.set(Number(row.in_review))
  metrics.paymentLag.set(ageSeconds(row.oldest_payment))
  metrics.eventsWaiting.set(Number(row.events))
  metrics.eventLag.set(ageSeconds(row.oldest_event))
  metrics.eventsDead.set(Number(row.dead))
  metrics.notificationsWaiting.set(Number(row.notifications))
  metrics.notificationsGivenUp.set(Number(row.notifications_given_up))
}
