import { sql, type Transaction } from '@bankside/service-kit/postgres'
import type { Event } from './event.ts'

/** Tells customers of events, once, however often they are delivered. An event of no customer tells nobody. */
export async function notifyCustomers(tx: Transaction, events: readonly Event[]): Promise<void> {
  const ids = sql.array(
    events.map(({ id }) => id),
    'text',
  )
  await tx.query(sql.unsafe`
    insert into events.notification (event_id, customer_id, occurred_at, type, payload)
    select event_id, customer_id, occurred_at, type, payload from events.event
    where event_id = any (${ids}) and customer_id is not null
    on conflict (event_id) do nothing`)
}
