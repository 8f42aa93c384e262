import { sql, type Transaction } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'
import type { Client } from './client.ts'

export type Registration = Pick<Client, 'clientId' | 'profile' | 'name' | 'firstParty' | 'metadata'> & { readonly now: Date }

/**
 * Enters a client, or what is new about one that is there. Its status stays: who is blocked does not come back by registering.
 * Whether the metadata meet the security profile is the authorization server's to check.
 */
export async function registerClient(tx: Transaction, { clientId, profile, name, firstParty, metadata, now }: Registration): Promise<void> {
  const time = sql.timestamp(now)
  await tx.query(sql.unsafe`
    insert into clients.client (client_id, profile, name, first_party, metadata, status, created_at, updated_at)
    values (${clientId}, ${profile}, ${name}, ${firstParty}, ${JSON.stringify(metadata)}::jsonb, 'active', ${time}, ${time})
    on conflict (client_id) do update set
      profile = excluded.profile, name = excluded.name, first_party = excluded.first_party, metadata = excluded.metadata,
      updated_at = excluded.updated_at`)
  await appendAudit(tx, { actor: 'bank', action: 'client.registered', subject: clientId, details: { profile, name, firstParty }, now })
}
