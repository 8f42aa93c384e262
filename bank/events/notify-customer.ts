import { sql, type Transaction } from '@bankside/service-kit/postgres'
import type { Event } from './event.ts'

/** Tells the customer of an event, once, however often it is delivered. An event of no customer tells nobody. */
export async function notifyCustomer(tx: Transaction, event: Event): Promise<void> {
  if (event.customerId === undefined) return
  await tx.query(sql.unsafe`
    insert into events.notification (event_id, customer_id, occurred_at, type, payload)
    values (${event.id}, ${event.customerId}, ${sql.timestamp(event.occurredAt)}, ${event.type}, ${sql.jsonb({ ...event.payload })})
    on conflict (event_id) do nothing`)
}
