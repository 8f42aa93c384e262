import { type Profile, profiles } from '@bankside/auth-server/client-policy/profiles'
import type { ClientProfile } from '@bankside/bank/clients/client'
import type { JWK } from 'jose'

/** What has to be said of a client; the rest follows from the row of its profile. */
export type ClientTerms = {
  readonly profile: ClientProfile
  readonly name: string
  readonly firstParty: boolean
  readonly authentication: 'private_key_jwt' | 'tls_client_auth' | 'self_signed_tls_client_auth'
  readonly senderConstraint: 'dpop' | 'mtls'
  readonly scopes: readonly string[]
  readonly signingAlgorithm: string
  readonly redirectUris: readonly string[]
  readonly keys: readonly JWK[]
  /** Of its certificate. */
  readonly subject: string
  /** Of the tokens that a resource server asks about. */
  readonly audience: string
  /** Stronger than what follows from the above. */
  readonly metadata: Readonly<Record<string, unknown>>
}

const boundBy = { dpop: { dpop_bound_access_tokens: true }, mtls: { tls_client_certificate_bound_access_tokens: true } }

/** What is registered for a client: RFC 7591 metadata, with RFC 8705 and RFC 9449, as the row of its profile wants them. */
export function clientMetadata(client: ClientTerms): Record<string, unknown> {
  const rules: Profile = profiles[client.profile]
  return {
    client_name: client.name,
    ...((rules.responseTypes.length > 0 || client.redirectUris.length > 0) && { redirect_uris: client.redirectUris }),
    // Where customers come back to after signing out: the same places.
    post_logout_redirect_uris: client.redirectUris.filter((uri) => uri.startsWith('https:')),
    grant_types: rules.grantTypes,
    response_types: rules.responseTypes,
    token_endpoint_auth_method: client.authentication,
    // No algorithm is named: whichever key of its file a program takes, the client may sign with it.
    ...(client.authentication === 'tls_client_auth' && { tls_client_auth_subject_dn: client.subject }),
    ...(rules.senderConstraints.length > 0 && boundBy[client.senderConstraint]),
    ...(rules.pushedRequests === 'required' && { require_pushed_authorization_requests: true }),
    ...(rules.requestObjects === 'required' && { require_signed_request_object: true }),
    ...(rules.introspection === 'allowed' && { audience: client.audience }),
    id_token_signed_response_alg: client.signingAlgorithm,
    jwks: { keys: client.keys },
    ...(client.scopes.length > 0 && { scope: client.scopes.join(' ') }),
    subject_type: client.firstParty ? 'public' : 'pairwise',
    ...client.metadata,
  }
}
