import { sql, z } from '@bankside/service-kit/postgres'

/** The security profile that a client is held to; what each means is the authorization server's to say. */
export const clientProfiles = ['fapi2_sp', 'fapi2_ms', 'fapi1_adv_hybrid', 'fapi1_adv_jarm', 'fapi_ciba', 'resource_server'] as const
export type ClientProfile = (typeof clientProfiles)[number]

/** A registered third party, first-party app, or resource server. */
export type Client = {
  readonly clientId: string
  readonly profile: ClientProfile
  /** The trading name, as customers know it (CX-01). */
  readonly name: string
  readonly firstParty: boolean
  readonly status: ClientStatus
  /** RFC 7591 client metadata: what the authorization server reads. */
  readonly metadata: Readonly<Record<string, unknown>>
}

/**
 * Blocked by the bank, which may let it in again; deleted by itself, for good; or withdrawn: its organisation may not act, as its
 * register says, until that says otherwise.
 */
export const clientStatuses = ['active', 'blocked', 'deleted', 'withdrawn'] as const
export type ClientStatus = (typeof clientStatuses)[number]

export const clientRow = z.object({
  client_id: z.string(),
  profile: z.enum(clientProfiles),
  name: z.string(),
  first_party: z.boolean(),
  status: z.enum(clientStatuses),
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
