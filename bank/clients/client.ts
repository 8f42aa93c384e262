import { sql, z } from '@bankside/service-kit/postgres'

/** A registered third party or first-party app. */
export type Client = {
  readonly clientId: string
  readonly profile: 'fapi2_sp'
  /** The trading name, as customers know it (CX-01). */
  readonly name: string
  readonly firstParty: boolean
  readonly status: ClientStatus
  /** RFC 7591 client metadata: what the authorization server reads. */
  readonly metadata: Readonly<Record<string, unknown>>
}

export type ClientStatus = 'active' | 'blocked'

export const clientRow = z.object({
  client_id: z.string(),
  profile: z.literal('fapi2_sp'),
  name: z.string(),
  first_party: z.boolean(),
  status: z.enum(['active', 'blocked']),
  metadata: z.record(z.string(), z.unknown()),
})

export const clientColumns = sql.fragment`client_id, profile, name, first_party, status, metadata`

export function toClient(row: z.infer<typeof clientRow>): Client {
  return {
    clientId: row.client_id,
    profile: row.profile,
    name: row.name,
    firstParty: row.first_party,
    status: row.status,
    metadata: row.metadata,
  }
}
