import { type Database, sql, type Transaction, transact, z } from '@bankside/service-kit/postgres'
import { Unavailable } from '@bankside/service-kit/refusal'
import { type Event, eventRow, toEvent } from './event.ts'
import { notifyCustomers } from './notify-customers.ts'

export type DeliveryOptions = {
  readonly now: Date
  /** At most so many deliveries, failed ones too. */
  readonly limit: number
  /** Events of some subjects, each subject's in order. May be called again for the same ones: what it does must come to the same. */
  readonly deliver?: (tx: Transaction, events: readonly Event[]) => Promise<void>
  readonly onFault?: (error: unknown, event: Event, outcome: 'again' | 'dead') => void
}

/** After so many failures a person has to look: the event is dead, and no longer holds up those after it. */
export const maxAttempts = 10
const firstRetryMs = 1_000
const longestRetryMs = 60 * 60 * 1000
const maxErrorLength = 500

/** So many events share a transaction: alone, its six round trips are most of what a delivery costs. */
const batchSize = 300

/**
 * Delivers what waits in the outbox, at least once, and within a subject in the order in which it happened: an event
 * whose forerunner is still waiting, be it for its next attempt, waits too.
 *
 * @returns how many deliveries were attempted; fewer than `limit` when none is due.
 */
export async function deliverEvents(database: Database, options: DeliveryOptions): Promise<number> {
  let attempted = 0
  while (attempted < options.limit) {
    const limit = Math.min(batchSize, options.limit - attempted)
    const done = (await deliverTogether(database, options, limit)) ?? (await deliverOneByOne(database, options, limit))
    if (done === 0) break
    attempted += done
  }
  return attempted
}

/** All or none: one that fails takes the others back with it, and the answer is undefined. */
async function deliverTogether(
  database: Database,
  { now, deliver = notifyCustomers }: DeliveryOptions,
  limit: number,
): Promise<number | undefined> {
  let failed = false
  try {
    return await transact(database, async (tx) => {
      const due = await takeDue(tx, now, limit)
      if (due.length === 0) return 0
      failed = true
      await deliver(tx, due)
      failed = false
      await markDelivered(tx, due, now)
      return due.length
    })
  } catch (error) {
    if (!failed || error instanceof Unavailable) throw error
    return undefined
  }
}

/** Each in a transaction of its own, so that one that fails is known and counted. */
async function deliverOneByOne(database: Database, options: DeliveryOptions, limit: number): Promise<number> {
  const { now, deliver = notifyCustomers } = options
  let attempted = 0
  for (; attempted < limit; attempted++) {
    let taken: Event | undefined
    try {
      const found = await transact(database, async (tx) => {
        const due = await takeDue(tx, now, 1)
        taken = due[0]
        if (taken === undefined) return false
        await deliver(tx, due)
        await markDelivered(tx, due, now)
        return true
      })
      if (!found) break
    } catch (error) {
      if (taken === undefined || error instanceof Unavailable) throw error
      const outcome = await recordFailure(database, taken, error, now)
      options.onFault?.(error, taken, outcome)
    }
  }
  return attempted
}

const waitingRow = eventRow.extend({ event_number: z.bigint() })
type Waiting = z.infer<typeof waitingRow>

/**
 * The oldest that are due, less those whose forerunner is neither among them nor delivered. When that is most of them, they would stand
 * in the way of others: then each is asked for in turn, which is slower.
 */
async function takeDue(tx: Transaction, now: Date, limit: number): Promise<readonly Event[]> {
  const [, waiting] = await Promise.all([
    // Statements are planned once on a connection, perhaps while a month is young: rows are found by their keys all the same.
    tx.query(sql.unsafe`select set_config('enable_seqscan', 'off', true)`),
    tx.any(sql.type(waitingRow)`
      select event_id, event_number, type, subject, client_id, customer_id, payload, occurred_at, attempts from events.event
      where next_attempt_at <= ${sql.timestamp(now)} order by next_attempt_at, event_number limit ${limit} for update skip locked`),
  ])
  if (waiting.length === 0) return []
  const blockedFrom = await forerunners(tx, waiting)
  const due = waiting.filter(({ subject, event_number }) => event_number < (blockedFrom.get(subject) ?? event_number + 1n))
  if (due.length * 2 < waiting.length) return takeFirstOfSubjects(tx, now, limit)
  // In the order in which they happened, whatever order they became due in.
  return due.toSorted((one, other) => (one.event_number < other.event_number ? -1 : 1)).map(toEvent)
}

const forerunnerRow = z.object({ subject: z.string(), event_number: z.bigint() })

/** By subject, the first that waits, is not among these, and comes before the last of these. */
async function forerunners(tx: Transaction, waiting: readonly Waiting[]): Promise<ReadonlyMap<string, bigint>> {
  const taken = new Set(waiting.map(({ event_number }) => event_number))
  const last = new Map<string, bigint>()
  for (const { subject, event_number } of waiting) if (event_number > (last.get(subject) ?? 0n)) last.set(subject, event_number)
  const rows = await tx.any(sql.type(forerunnerRow)`
    select asked.subject, before.event_number
    from unnest(${sql.array([...last.keys()], 'text')}, ${sql.array([...last.values()], 'int8')}) asked (subject, last_number)
      cross join lateral (
        select event_number from events.event
        where subject = asked.subject and next_attempt_at is not null and event_number < last_number order by event_number) before`)
  const missing = rows.filter(({ event_number }) => !taken.has(event_number))
  return new Map(missing.reverse().map(({ subject, event_number }) => [subject, event_number]))
}

/** Asked for each that waits. */
async function takeFirstOfSubjects(tx: Transaction, now: Date, limit: number): Promise<readonly Event[]> {
  const rows = await tx.any(sql.type(eventRow)`
    select event_id, type, subject, client_id, customer_id, payload, occurred_at, attempts
    from events.event e
    where next_attempt_at <= ${sql.timestamp(now)}
      and event_number = (
        select first.event_number from events.event first
        where first.subject = e.subject and first.next_attempt_at is not null order by first.event_number limit 1)
    order by next_attempt_at, event_number limit ${limit} for update of e skip locked`)
  return rows.map(toEvent)
}

async function markDelivered(tx: Transaction, events: readonly Event[], now: Date): Promise<void> {
  const ids = sql.array(
    events.map(({ id }) => id),
    'text',
  )
  await tx.query(sql.unsafe`
    update events.event set delivered_at = ${sql.timestamp(now)}, next_attempt_at = null where event_id = any (${ids})`)
}

/** In a transaction of its own: that of the delivery was rolled back. */
async function recordFailure(database: Database, event: Event, error: unknown, now: Date): Promise<'again' | 'dead'> {
  const attempts = event.attempts + 1
  const dead = attempts >= maxAttempts
  const nextAttemptAt = new Date(now.getTime() + Math.min(firstRetryMs * 2 ** event.attempts, longestRetryMs))
  await transact(database, (tx) =>
    tx.query(sql.unsafe`
      update events.event set
        attempts = ${attempts}, last_error = ${String(error).slice(0, maxErrorLength)},
        next_attempt_at = ${dead ? null : sql.timestamp(nextAttemptAt)}, dead_at = ${dead ? sql.timestamp(now) : null}
      where event_id = ${event.id} and next_attempt_at is not null`),
  )
  return dead ? 'dead' : 'again'
}
