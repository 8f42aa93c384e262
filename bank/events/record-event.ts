import { type SqlFragment, sql, type Transaction } from '@bankside/service-kit/postgres'
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
  const eventId = newEventId(event.now)
  await tx.query(sql.unsafe`${insertEvents([{ ...event, eventId }])}`)
  return eventId
}

/** The statement that writes them, in this order: as one text for any number, which is prepared once. */
export function insertEvents(events: readonly (NewEvent & { readonly eventId?: EventId })[]): SqlFragment {
  const rows = events.map(({ eventId, type, subject, clientId, customerId, payload, now }) => {
    return { event_id: eventId ?? newEventId(now), type, subject, client_id: clientId, customer_id: customerId, payload, occurred_at: now }
  })
  return sql.fragment`
    insert into events.event (event_id, type, subject, client_id, customer_id, payload, occurred_at, attempts, next_attempt_at)
    select event_id, type, subject, client_id, customer_id, payload, occurred_at, 0, occurred_at
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as told (
      event_id text, type text, subject text, client_id text, customer_id text, payload jsonb, occurred_at timestamptz)`
}
