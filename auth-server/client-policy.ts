import type { ClientProfile } from '@bankside/bank/clients/client'
import { Refusal } from '@bankside/service-kit/refusal'
import { keySetProblems } from './client-policy/client-keys.ts'
import { type Profile, profiles } from './client-policy/profiles.ts'

export type ClientPolicyRefusal = 'client_metadata_invalid' | 'redirect_uri_invalid'

/** RFC 7591 metadata as somebody else wrote it: nothing about it is known until the policy has looked. */
export type ClientMetadata = Readonly<Record<string, unknown>>

const maxRedirectUris = 10
const subjectNames = ['subject_dn', 'san_dns', 'san_uri', 'san_ip', 'san_email'].map((name) => `tls_client_auth_${name}`)
const boundBy = { dpop: 'dpop_bound_access_tokens', mtls: 'tls_client_certificate_bound_access_tokens' } as const

/**
 * Whether metadata are within the row of their profile: asked when a client is registered and again with every request it
 * makes, so that what came in by another way than registration opens nothing.
 *
 * @throws {Refusal} `redirect_uri_invalid` or `client_metadata_invalid`, naming everything that is wrong.
 */
export function assertClientPolicy(metadata: ClientMetadata, profile: ClientProfile): void {
  const policy: Profile = profiles[profile]
  const redirects = redirectUriProblems(metadata['redirect_uris'], policy)
  if (redirects.length > 0) throw new Refusal<ClientPolicyRefusal>('redirect_uri_invalid', redirects.join('; '), { path: 'redirect_uris' })
  const problems = rules.flatMap((rule) => rule(metadata, policy))
  if (problems.length > 0) throw new Refusal<ClientPolicyRefusal>('client_metadata_invalid', problems.join('; '))
}

type Rule = (metadata: ClientMetadata, policy: Profile) => readonly string[]

const rules: readonly Rule[] = [
  (metadata, { clientAuthentication }) => oneOf(metadata, 'token_endpoint_auth_method', clientAuthentication),
  // Without one, a client may sign with any key it registered: none is of another algorithm.
  (metadata, { signingAlgorithms }) => oneOfIfGiven(metadata, 'token_endpoint_auth_signing_alg', signingAlgorithms),
  certificateSubject,
  senderConstraint,
  (metadata, { grantTypes }) => allOf(metadata, 'grant_types', grantTypes),
  (metadata, { responseTypes }) => allOf(metadata, 'response_types', responseTypes),
  (metadata, { responseModes }) => ('response_modes' in metadata ? allOf(metadata, 'response_modes', responseModes) : []),
  (metadata, { grantTypes, responseAlgorithms }) =>
    grantTypes.length === 0 ? [] : oneOf(metadata, 'id_token_signed_response_alg', responseAlgorithms),
  (metadata, { responseAlgorithms }) => responseNames.flatMap((name) => oneOfIfGiven(metadata, name, responseAlgorithms)),
  (metadata, { pushedRequests }) => flag(metadata, 'require_pushed_authorization_requests', pushedRequests),
  (metadata, { requestObjects }) => flag(metadata, 'require_signed_request_object', requestObjects),
  (metadata, { signingAlgorithms }) => oneOfIfGiven(metadata, 'request_object_signing_alg', signingAlgorithms),
  backchannel,
  introspectedAudience,
  logoutAddresses,
  detailTypes,
  (metadata, { senderConstraints }) =>
    'require_dpop_nonce' in metadata && !(senderConstraints.includes('dpop') && typeof metadata['require_dpop_nonce'] === 'boolean')
      ? ['require_dpop_nonce is a boolean, for clients that may use DPoP']
      : [],
  (metadata) => ('client_secret' in metadata ? ['client_secret: there are no shared secrets'] : []),
  (metadata) => oneOfIfGiven(metadata, 'application_type', ['web', 'native']),
  (metadata) =>
    Object.keys(metadata).flatMap((name) => (/_encrypted_response_|_encryption_/.test(name) ? [`${name}: nothing is encrypted`] : [])),
  keySetProblems,
]

const responseNames = ['authorization_signed_response_alg', 'userinfo_signed_response_alg', 'introspection_signed_response_alg']

function oneOf(metadata: ClientMetadata, name: string, allowed: readonly string[]): readonly string[] {
  const value = metadata[name]
  return typeof value === 'string' && allowed.includes(value) ? [] : [`${name} must be one of ${allowed.join(', ')}`]
}

const oneOfIfGiven = (metadata: ClientMetadata, name: string, allowed: readonly string[]): readonly string[] =>
  metadata[name] === undefined ? [] : oneOf(metadata, name, allowed)

function allOf(metadata: ClientMetadata, name: string, allowed: readonly string[]): readonly string[] {
  const values = metadata[name]
  const fits = Array.isArray(values) && values.length > 0 === allowed.length > 0 && values.every((value) => allowed.includes(value))
  if (fits) return []
  return [allowed.length > 0 ? `${name} may hold ${allowed.join(', ')}` : `${name} must be empty`]
}

function flag(metadata: ClientMetadata, name: string, rule: 'required' | 'optional' | 'refused'): readonly string[] {
  if (rule === 'required' && metadata[name] !== true) return [`${name} must be true`]
  return rule === 'refused' && metadata[name] === true ? [`${name} must not be true`] : []
}

/** RFC 8705 section 2.1.2: exactly one name says which certificate is the client's. */
function certificateSubject(metadata: ClientMetadata): readonly string[] {
  if (metadata['token_endpoint_auth_method'] !== 'tls_client_auth') return []
  const given = subjectNames.filter((name) => typeof metadata[name] === 'string' && metadata[name] !== '')
  return given.length === 1 ? [] : [`exactly one of ${subjectNames.join(', ')} is needed`]
}

function senderConstraint(metadata: ClientMetadata, { senderConstraints }: Profile): readonly string[] {
  const given = Object.entries(boundBy).filter(([, name]) => metadata[name] === true)
  const refused = given.flatMap(([constraint, name]) =>
    senderConstraints.some((allowed) => allowed === constraint) ? [] : [`${name} must not be true`],
  )
  if (refused.length > 0 || senderConstraints.length === 0) return refused
  const names = senderConstraints.map((constraint) => boundBy[constraint])
  if (given.length === 1) return []
  return [names.length === 1 ? `${names[0]} must be true` : `exactly one of ${names.join(', ')} must be true`]
}

function backchannel(metadata: ClientMetadata, { backchannelDelivery, signingAlgorithms }: Profile): readonly string[] {
  if (backchannelDelivery.length === 0)
    return Object.keys(metadata).flatMap((name) =>
      name.startsWith('backchannel_') && !name.startsWith('backchannel_logout_') ? [`${name} is for CIBA`] : [],
    )
  const notified = metadata['backchannel_client_notification_endpoint']
  return [
    ...oneOf(metadata, 'backchannel_token_delivery_mode', backchannelDelivery),
    ...oneOf(metadata, 'backchannel_authentication_request_signing_alg', signingAlgorithms),
    ...(metadata['backchannel_user_code_parameter'] === true ? ['backchannel_user_code_parameter must not be true'] : []),
    ...(metadata['backchannel_token_delivery_mode'] === 'ping' && !isHttps(notified)
      ? ['backchannel_client_notification_endpoint must be an https URI']
      : []),
  ]
}

/** A server that introspects tokens does so for one API. */
function introspectedAudience(metadata: ClientMetadata, { introspection }: Profile): readonly string[] {
  if (introspection === 'allowed') return isHttps(metadata['audience']) ? [] : ['audience must be the https URI of an API']
  return 'audience' in metadata ? ['audience is for resource servers'] : []
}

/** Where a customer goes after signing out, and where the client is told of it. */
function logoutAddresses(metadata: ClientMetadata): readonly string[] {
  const { post_logout_redirect_uris: uris = [], backchannel_logout_uri: told, backchannel_logout_session_required: named } = metadata
  const list = Array.isArray(uris) ? uris : undefined
  return [
    ...(list === undefined || list.length > maxRedirectUris ? [`post_logout_redirect_uris is a list of at most ${maxRedirectUris}`] : []),
    ...(list?.every(isPlainHttps) ? [] : ['post_logout_redirect_uris are https, without fragment and user']),
    ...(told === undefined || isPlainHttps(told) ? [] : ['backchannel_logout_uri is https, without fragment and user']),
    ...(named === undefined || typeof named === 'boolean' ? [] : ['backchannel_logout_session_required is a boolean']),
  ]
}

/** RAR-02. What they open is bound by the scopes as well. */
function detailTypes(metadata: ClientMetadata): readonly string[] {
  return 'authorization_details_types' in metadata
    ? allOf(metadata, 'authorization_details_types', ['openbanking_consent', 'account_information', 'payment_initiation'])
    : []
}

function isPlainHttps(uri: unknown): boolean {
  const url = typeof uri === 'string' ? URL.parse(uri) : null
  return url?.protocol === 'https:' && isHostName(url) && !String(uri).includes('#') && url.username === '' && url.password === ''
}

/** What a URL allows beyond it, a wildcard, semicolon or quote say, would say something else in a policy that names the origin. */
const isHostName = ({ hostname }: URL): boolean => /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)$/.test(hostname)

const isHttps = (uri: unknown): boolean => typeof uri === 'string' && URL.parse(uri)?.protocol === 'https:'

function redirectUriProblems(uris: unknown, { responseTypes }: Profile): readonly string[] {
  if (responseTypes.length === 0) return uris === undefined || (Array.isArray(uris) && uris.length === 0) ? [] : ['there are no redirects']
  if (!Array.isArray(uris) || uris.length === 0) return ['redirect_uris is needed']
  if (uris.length > maxRedirectUris) return [`at most ${maxRedirectUris} redirect_uris`]
  return uris.flatMap((uri: unknown) => {
    const url = typeof uri === 'string' ? URL.parse(uri) : null
    if (url === null) return ['not a URI']
    if (url.protocol !== 'https:') return ['redirect URIs are https']
    if (!isHostName(url)) return ['the host of a redirect URI is a name or an address']
    return String(uri).includes('#') || url.username !== '' || url.password !== '' ? ['no fragment and no user in a redirect URI'] : []
  })
}
