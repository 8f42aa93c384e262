import type { ClientProfile } from '@bankside/bank/clients/client'
import { type Profile, profiles } from '../client-policy/profiles.ts'
import type { RegisteredMetadata } from './registered-metadata.ts'
import { refuseRegistration } from './registration-refusal.ts'

const ciba = 'urn:openid:params:grant-type:ciba'
/** A server of the bank's own is entered by the bank. */
const offered = ['fapi2_sp', 'fapi2_ms', 'fapi1_adv_hybrid', 'fapi1_adv_jarm', 'fapi_ciba'] as const satisfies readonly ClientProfile[]

/**
 * The profile that a registration asks for (D1). It may say so itself, as `fapi_profile`. If not, what it asks for says it: the
 * CIBA grant, the hybrid flow's response type, or signed requests or responses. Which rules then hold, the profile's row
 * says; who asks for a mixture is refused by it.
 *
 * @throws {Refusal} `invalid_client_metadata`
 */
export function chooseProfile(metadata: RegisteredMetadata, named: unknown): (typeof offered)[number] {
  if (named !== undefined) {
    const found = offered.find((profile) => profile === named)
    return found ?? refuseRegistration('invalid_client_metadata', `fapi_profile must be one of ${offered.join(', ')}`)
  }
  if (metadata.grant_types?.includes(ciba)) return 'fapi_ciba'
  if (metadata.response_types?.includes('code id_token')) return 'fapi1_adv_hybrid'
  const signs = metadata.require_signed_request_object === true || metadata.authorization_signed_response_alg !== undefined
  return signs ? 'fapi2_ms' : 'fapi2_sp'
}

type Constraint = keyof typeof boundBy
const boundBy = { dpop: 'dpop_bound_access_tokens', mtls: 'tls_client_certificate_bound_access_tokens' } as const

/** What the profile leaves no choice about is so without being asked for; where there is a choice, `bound` makes it. */
export function withDefaults(metadata: RegisteredMetadata, profile: ClientProfile, { bound }: { bound: Constraint }): RegisteredMetadata {
  const policy: Profile = profiles[profile]
  const [only] = policy.senderConstraints
  const constraint = policy.senderConstraints.length === 1 && only !== undefined ? only : bound
  const isBound = metadata.dpop_bound_access_tokens === true || metadata.tls_client_certificate_bound_access_tokens === true
  return {
    ...(policy.pushedRequests === 'required' && { require_pushed_authorization_requests: true }),
    ...(policy.requestObjects === 'required' && { require_signed_request_object: true }),
    ...(!isBound && { [boundBy[constraint]]: true }),
    ...(policy.responseTypes.length === 0 && { response_types: [] }),
    ...metadata,
  }
}
