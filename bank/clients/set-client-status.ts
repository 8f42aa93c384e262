import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'
import { recordEvent } from '../events/record-event.ts'

export type ClientStatusChange = {
  readonly clientId: string
  readonly status: 'active' | 'blocked'
  readonly actor: string
  readonly now: Date
}

/**
 * Blocks a client, or lets it in again. Its tokens and consents stay as they are, and work only while it is active. One that has
 * deleted itself does not come back, and one whose licence is withdrawn waits for its register.
 */
export async function setClientStatus(tx: Transaction, { clientId, status, actor, now }: ClientStatusChange): Promise<boolean> {
  const from = status === 'blocked' ? sql.fragment`('active', 'withdrawn')` : sql.fragment`('blocked')`
  const changed = await tx.maybeOne(sql.type(z.object({ client_id: z.string() }))`
    update clients.client set updated_at = ${sql.timestamp(now)},
      status = case when ${status} = 'active' and withdrawn_at is not null then 'withdrawn' else ${status} end
    where client_id = ${clientId} and status in ${from} returning client_id`)
  if (changed === null) return false
  const action = status === 'blocked' ? 'client.blocked' : 'client.unblocked'
  await recordEvent(tx, { type: action, subject: clientId, clientId, payload: { status }, now })
  await appendAudit(tx, { actor, action, subject: clientId, details: { status }, now })
  return true
}
