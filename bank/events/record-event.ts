import { sql, type Transaction } from '@bankside/service-kit/postgres'
import { type CustomerId, type EventId, newEventId } from '../ids.ts'

export type NewEvent = {
  /** `payment.posted`, `consent.authorised`: what it is about, then what happened to it. */
  readonly type: string
  /** Id of what it is about. Events of one subject are delivered in the order in which they were recorded. */
  readonly subject: string
  readonly clientId?: string | undefined
  /** Whom to tell. Without one, nobody is. */
  readonly customerId?: CustomerId | undefined
  readonly payload: Readonly<Record<string, unknown>>
  readonly now: Date
}

/**
 * Writes to the outbox, in the transaction of the change it tells of. Delivery happens after commit, by the worker.
 * The order within a subject holds if whoever records for it has it locked, which whoever changes it has.
 */
export async function recordEvent(tx: Transaction, event: NewEvent): Promise<EventId> {
  const eventId = newEventId()
  await tx.query(sql.unsafe`
    insert into events.event (event_id, type, subject, client_id, customer_id, payload, occurred_at, attempts, next_attempt_at)
    values (
      ${eventId}, ${event.type}, ${event.subject}, ${event.clientId ?? null}, ${event.customerId ?? null},
      ${sql.jsonb({ ...event.payload })}, ${sql.timestamp(event.now)}, 0, ${sql.timestamp(event.now)})`)
  return eventId
}
