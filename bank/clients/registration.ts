import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type Client, clientRow, toClient } from './client.ts'

/** How a third party came to be a client by itself, and who may change that. */
export type Registration = {
  readonly client: Client
  /** The software that a statement of a directory named; undefined for who came with an initial access token. */
  readonly software: Software | undefined
  /** The claims of the signed request as they came, with the statement. */
  readonly request: Readonly<Record<string, unknown>>
  readonly accessTokenHash: Buffer | undefined
  readonly scopes: readonly string[]
  readonly registeredAt: Date
}

export type Software = { readonly issuer: string; readonly id: string }

const registrationRow = clientRow.extend({
  software_issuer: z.string().nullable(),
  software_id: z.string().nullable(),
  request: z.record(z.string(), z.unknown()),
  access_token_hash: z.instanceof(Buffer).nullable(),
  scopes: z.array(z.string()),
  registered_at: z.date(),
})

/** Of an active client that registered itself. One that is blocked or gone has none that anybody could manage. */
export async function findRegistration(tx: Transaction, clientId: string): Promise<Registration | undefined> {
  const row = await tx.maybeOne(sql.type(registrationRow)`
    select c.client_id, c.profile, c.name, c.first_party, c.status, c.metadata,
      r.software_issuer, r.software_id, r.request, r.access_token_hash, r.scopes, r.registered_at
    from clients.registration r join clients.client c on c.client_id = r.client_id
    where r.client_id = ${clientId} and r.deleted_at is null and c.status = 'active'`)
  if (row === null) return undefined
  return {
    client: toClient(row),
    software: row.software_issuer === null || row.software_id === null ? undefined : { issuer: row.software_issuer, id: row.software_id },
    request: row.request,
    accessTokenHash: row.access_token_hash ?? undefined,
    scopes: row.scopes,
    registeredAt: row.registered_at,
  }
}
