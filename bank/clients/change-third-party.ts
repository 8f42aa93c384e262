import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'
import type { ThirdPartyRegistration } from './register-third-party.ts'

export type ThirdPartyChange = Omit<ThirdPartyRegistration, 'profile' | 'software' | 'accessTokenHash' | 'scopes'>

/** Puts new metadata in the place of the old ones; grants and tokens stay (UKDCR-16). @returns false if it is blocked or gone. */
export async function changeThirdParty(tx: Transaction, change: ThirdPartyChange): Promise<boolean> {
  const { clientId, name, metadata, request, evidence, interactionId, now } = change
  const time = sql.timestamp(now)
  const { changed } = await tx.one(sql.type(z.object({ changed: z.boolean() }))`
    select clients.change_third_party(${clientId}, ${name}, ${JSON.stringify(metadata)}::jsonb, ${time}) as changed`)
  if (!changed) return false
  await tx.query(sql.unsafe`
    update clients.registration set request = ${JSON.stringify(request)}::jsonb, updated_at = ${time} where client_id = ${clientId}`)
  await appendAudit(tx, {
    actor: clientId,
    action: 'client.changed',
    subject: clientId,
    interactionId,
    details: { name, ...evidence },
    now,
  })
  return true
}
