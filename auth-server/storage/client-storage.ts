import type { ClientProfile } from '@bankside/bank/clients/client'
import type { Log } from '@bankside/service-kit/log'
import type { Prepared } from '@bankside/service-kit/prepared'
import { Refusal } from '@bankside/service-kit/refusal'
import type { Adapter, AdapterPayload, Client } from 'oidc-provider'
import { underBothNames } from '../client-keys/usable-keys.ts'
import { isClientProfile, profiles } from '../client-policy/profiles.ts'
import { assertClientPolicy, type ClientMetadata } from '../client-policy.ts'
import { detailTypesOf } from '../intents/detail-types.ts'

type Row = {
  readonly client_id: string
  readonly profile: string
  readonly name: string
  readonly first_party: boolean
  /** PSD2 roles as its register has them. */
  readonly licensed_roles?: readonly string[] | null
  readonly metadata: string
}

const clientIdShape = /^[A-Za-z0-9._-]{4,64}$/

/** A zero byte, for one, is an error to the database (`client_id_is_not_a_subject`). */
export const isClientId = (text: unknown): text is string => typeof text === 'string' && clientIdShape.test(text)

/**
 * Registered clients. The policy of its profile is checked here again, so that a row that came in by another way than
 * registration opens nothing. Asked when a row is new or has changed: see known-clients.ts.
 */
export function clientStorage(prepared: Prepared, log: Log): Partial<Adapter> {
  return {
    async find(id) {
      if (!isClientId(id)) return undefined
      const [row] = await prepared.query<Row>(
        'oidc_client_find',
        `select client_id, profile, name, first_party, licensed_roles, metadata::text as metadata
         from clients.client where client_id = $1 and status = 'active'`,
        [id],
      )
      return row && read(row, log)
    },
  }
}

function read(row: Row, log: Log): AdapterPayload | undefined {
  const metadata = JSON.parse(row.metadata) as ClientMetadata
  const { client_id, profile } = row
  if (!isClientProfile(profile)) throw new Error(`client ${client_id} has a profile that this version does not know`)
  return withinPolicy(client_id, profile, metadata, log) ? clientPayload(row, metadata, profile) : undefined
}

/** A client as the library reads it. */
export const clientPayload = (row: Omit<Row, 'metadata'>, metadata: ClientMetadata, profile: ClientProfile): AdapterPayload =>
  ({ ...metadata, ...keysOf(metadata), ...ofOurs(row, metadata, profile) }) as AdapterPayload

function keysOf({ jwks }: ClientMetadata): { jwks?: { keys: unknown[] } } {
  const { keys } = (jwks ?? {}) as { keys?: Record<string, unknown>[] }
  return keys === undefined ? {} : { jwks: { keys: keys.map(underBothNames) } }
}

function withinPolicy(client_id: string, profile: ClientProfile, metadata: ClientMetadata, log: Log): boolean {
  try {
    assertClientPolicy(metadata, profile)
    return true
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    log.error({ client_id, profile, problems: error.message }, 'a registered client breaks the policy of its profile and is not served')
    return false
  }
}

/** What the row says wins over what the metadata says, and what the metadata leave open the profile says. */
const ofOurs = (row: Omit<Row, 'metadata'>, metadata: ClientMetadata, profile: ClientProfile) => ({
  response_modes: (metadata['response_modes'] as string[] | undefined) ?? [...profiles[profile].responseModes],
  client_id: row.client_id,
  client_name: row.name,
  profile: row.profile,
  first_party: row.first_party,
  ...(row.licensed_roles && { licensed_roles: row.licensed_roles }),
  // What counts is said where subjects are named: the library would want a sector for each (`namePairwise`).
  subject_type: 'public',
  authorization_details_types: detailTypesOf({ firstParty: row.first_party, metadata }),
})

export const isFirstParty = (client: Client): boolean => client['first_party'] === true
