import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'
import { recordEvent } from '../events/record-event.ts'

export type ThirdPartyEnd = { readonly clientId: string; readonly interactionId?: string | undefined; readonly now: Date }

/**
 * Ends a registration for good, with every grant, code and refresh token under it; access tokens end with their client. Its
 * consents stay as they are, and open nothing (UKDCR-17).
 *
 * @returns false if it is blocked or gone already.
 */
export async function endThirdParty(tx: Transaction, { clientId, interactionId, now }: ThirdPartyEnd): Promise<boolean> {
  const { ended } = await tx.one(sql.type(z.object({ ended: z.boolean() }))`
    select clients.end_third_party(${clientId}, ${sql.timestamp(now)}) as ended`)
  if (!ended) return false
  await recordEvent(tx, { type: 'client.deleted', subject: clientId, clientId, payload: {}, now })
  await appendAudit(tx, { actor: clientId, action: 'client.deleted', subject: clientId, interactionId, details: {}, now })
  return true
}
