import { z } from '@bankside/service-kit/postgres'
import type { ClientId, CustomerId, EventId } from '../ids.ts'

/** Something that happened, as the outbox keeps it. */
export type Event = {
  readonly id: EventId
  readonly type: string
  readonly subject: string
  readonly clientId: ClientId | undefined
  readonly customerId: CustomerId | undefined
  readonly payload: Readonly<Record<string, unknown>>
  readonly occurredAt: Date
  /** Deliveries that have failed so far. */
  readonly attempts: number
}

export const eventRow = z.object({
  event_id: z.custom<EventId>(),
  type: z.string(),
  subject: z.string(),
  client_id: z.string().nullable(),
  customer_id: z.custom<CustomerId>().nullable(),
  payload: z.record(z.string(), z.unknown()),
  occurred_at: z.date(),
  attempts: z.number(),
})

export function toEvent(row: z.infer<typeof eventRow>): Event {
  return {
    id: row.event_id,
    type: row.type,
    subject: row.subject,
    clientId: row.client_id ?? undefined,
    customerId: row.customer_id ?? undefined,
    payload: row.payload,
    occurredAt: row.occurred_at,
    attempts: row.attempts,
  }
}
