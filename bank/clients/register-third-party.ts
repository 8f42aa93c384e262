import { sql, type Transaction } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'
import { recordEvent } from '../events/record-event.ts'
import { expectRegisterEntry } from '../licences/register-entry.ts'
import type { Client } from './client.ts'
import type { Registration } from './registration.ts'

export type ThirdPartyRegistration = Omit<Registration, 'client' | 'registeredAt'> &
  Pick<Client, 'clientId' | 'profile' | 'name' | 'metadata'> & {
    /** What proved who registered: certificate, organisation, roles. Kept on record (RTS Art. 29). */
    readonly evidence: Readonly<Record<string, unknown>>
    readonly interactionId?: string | undefined
    readonly now: Date
  }

/**
 * Enters a third party that registers itself. Whether metadata and statement are as they must be is the authorization server's to
 * check. The constraint `registration_one_client_per_software` says that this software has a client, also when two come at once.
 */
export async function registerThirdParty(tx: Transaction, registration: ThirdPartyRegistration): Promise<void> {
  const { clientId, profile, name, metadata, software, request, accessTokenHash, scopes, evidence, interactionId, now } = registration
  const time = sql.timestamp(now)
  await tx.query(
    sql.unsafe`select clients.enter_third_party(${clientId}, ${profile}, ${name}, ${JSON.stringify(metadata)}::jsonb, ${time})`,
  )
  await tx.query(sql.unsafe`
    insert into clients.registration
      (client_id, software_issuer, software_id, request, access_token_hash, scopes, registered_at, updated_at)
    values (${clientId}, ${software?.issuer ?? null}, ${software?.id ?? null}, ${JSON.stringify(request)}::jsonb,
      ${accessTokenHash === undefined ? null : sql.binary(accessTokenHash)}, ${sql.array([...scopes], 'text')}, ${time}, ${time})`)
  if (software !== undefined) await expectRegisterEntry(tx, { clientId, directory: software.issuer, now })
  await recordEvent(tx, { type: 'client.registered', subject: clientId, clientId, payload: { profile, name }, now })
  const details = { profile, name, ...(software && { software }), scopes, ...evidence }
  await appendAudit(tx, { actor: clientId, action: 'client.registered', subject: clientId, interactionId, details, now })
}
