import { Refusal } from '@bankside/service-kit/refusal'

export type ClientProfile = keyof typeof policies
export type ClientPolicyRefusal = 'client_metadata_invalid' | 'redirect_uri_invalid'

/** RFC 7591 metadata as somebody else wrote it: nothing about it is known until the policy has looked. */
export type ClientMetadata = Readonly<Record<string, unknown>>

/** FAPI 2.0 section 5.4: what any JWT may be signed with, whoever signs it. EdDSA means Ed25519 here (no other curve passes). */
export const signingAlgorithms = ['PS256', 'ES256', 'EdDSA', 'Ed25519'] as const

/**
 * Profile × rule. The library's own profile switch enforces little of this (a FAPI 2.0 client without PAR and without a
 * sender constraint gets a bearer token), so every rule is checked when a client is registered and again with every
 * request it makes.
 */
const policies = {
  fapi2_sp: {
    clientAuthentication: ['private_key_jwt', 'tls_client_auth'],
    senderConstraints: ['dpop_bound_access_tokens', 'tls_client_certificate_bound_access_tokens'],
    grantTypes: ['authorization_code', 'refresh_token', 'client_credentials'],
    responseTypes: ['code'],
    signingAlgorithms,
    idTokenAlgorithms: ['ES256', 'PS256'],
    pushedAuthorizationRequests: 'required',
    minRsaBits: 2048,
  },
} as const satisfies Record<string, Policy>

type Policy = {
  readonly clientAuthentication: readonly string[]
  readonly senderConstraints: readonly string[]
  readonly grantTypes: readonly string[]
  readonly responseTypes: readonly string[]
  readonly signingAlgorithms: readonly string[]
  readonly idTokenAlgorithms: readonly string[]
  readonly pushedAuthorizationRequests: 'required' | 'optional'
  readonly minRsaBits: number
}

const maxRedirectUris = 10
const maxKeys = 10
const subjectNames = ['tls_client_auth_subject_dn', 'tls_client_auth_san_dns', 'tls_client_auth_san_uri', 'tls_client_auth_san_ip']

export const isClientProfile = (text: string): text is ClientProfile => Object.hasOwn(policies, text)

/** @throws {Refusal} `redirect_uri_invalid` or `client_metadata_invalid`, naming everything that is wrong. */
export function assertClientPolicy(metadata: ClientMetadata, profile: ClientProfile): void {
  const policy: Policy = policies[profile]
  const redirects = redirectUriProblems(metadata['redirect_uris'])
  if (redirects.length > 0) throw new Refusal<ClientPolicyRefusal>('redirect_uri_invalid', redirects.join('; '), { path: 'redirect_uris' })
  const problems = rules.flatMap((rule) => rule(metadata, policy))
  if (problems.length > 0) throw new Refusal<ClientPolicyRefusal>('client_metadata_invalid', problems.join('; '))
}

type Rule = (metadata: ClientMetadata, policy: Policy) => readonly string[]

const rules: readonly Rule[] = [
  (metadata, { clientAuthentication }) => oneOf(metadata, 'token_endpoint_auth_method', clientAuthentication),
  // Without one, a client may sign with any key it registered: none is of another algorithm.
  (metadata, { signingAlgorithms: allowed }) =>
    metadata['token_endpoint_auth_signing_alg'] === undefined ? [] : oneOf(metadata, 'token_endpoint_auth_signing_alg', allowed),
  certificateSubject,
  senderConstraint,
  (metadata, { grantTypes }) => allOf(metadata, 'grant_types', grantTypes),
  (metadata, { responseTypes }) => allOf(metadata, 'response_types', responseTypes),
  (metadata, { idTokenAlgorithms }) => oneOf(metadata, 'id_token_signed_response_alg', idTokenAlgorithms),
  (metadata, { pushedAuthorizationRequests }) =>
    pushedAuthorizationRequests === 'required' && metadata['require_pushed_authorization_requests'] !== true
      ? ['require_pushed_authorization_requests must be true']
      : [],
  (metadata) => ('client_secret' in metadata ? ['client_secret: there are no shared secrets'] : []),
  (metadata) => ('jwks_uri' in metadata ? ['jwks_uri is not supported: register jwks'] : []),
  (metadata) => ('application_type' in metadata && metadata['application_type'] !== 'web' ? ['application_type must be web'] : []),
  keys,
]

function oneOf(metadata: ClientMetadata, name: string, allowed: readonly string[]): readonly string[] {
  const value = metadata[name]
  return typeof value === 'string' && allowed.includes(value) ? [] : [`${name} must be one of ${allowed.join(', ')}`]
}

function allOf(metadata: ClientMetadata, name: string, allowed: readonly string[]): readonly string[] {
  const values = metadata[name]
  const fits = Array.isArray(values) && values.length > 0 && values.every((value) => allowed.includes(value))
  return fits ? [] : [`${name} may hold ${allowed.join(', ')}`]
}

/** RFC 8705 section 2.1.2: exactly one name says which certificate is the client's. */
function certificateSubject(metadata: ClientMetadata): readonly string[] {
  if (metadata['token_endpoint_auth_method'] !== 'tls_client_auth') return []
  const given = subjectNames.filter((name) => typeof metadata[name] === 'string' && metadata[name] !== '')
  return given.length === 1 ? [] : [`exactly one of ${subjectNames.join(', ')} is needed`]
}

function senderConstraint(metadata: ClientMetadata, { senderConstraints }: Policy): readonly string[] {
  const given = senderConstraints.filter((name) => metadata[name] === true)
  return given.length === 1 ? [] : [`exactly one of ${senderConstraints.join(', ')} must be true`]
}

function redirectUriProblems(uris: unknown): readonly string[] {
  if (!Array.isArray(uris) || uris.length === 0) return ['redirect_uris is needed']
  if (uris.length > maxRedirectUris) return [`at most ${maxRedirectUris} redirect_uris`]
  return uris.flatMap((uri: unknown) => {
    const url = typeof uri === 'string' ? URL.parse(uri) : null
    if (url === null) return ['not a URI']
    if (url.protocol !== 'https:') return ['redirect URIs are https']
    return String(uri).includes('#') || url.username !== '' || url.password !== '' ? ['no fragment and no user in a redirect URI'] : []
  })
}

function keys(metadata: ClientMetadata, policy: Policy): readonly string[] {
  const jwks = metadata['jwks'] as { keys?: unknown } | undefined
  if (jwks === undefined) return metadata['token_endpoint_auth_method'] === 'private_key_jwt' ? ['jwks is needed'] : []
  const list = jwks?.keys
  if (!Array.isArray(list) || list.length === 0 || list.length > maxKeys) return [`jwks must hold 1 to ${maxKeys} keys`]
  return list.flatMap((jwk) => keyProblems(jwk, policy))
}

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

function keyProblems(jwk: unknown, { minRsaBits, signingAlgorithms: allowed }: Policy): readonly string[] {
  if (typeof jwk !== 'object' || jwk === null) return ['a key must be an object']
  const key = jwk as ClientMetadata
  if (privateMembers.some((member) => member in key)) return ['jwks must hold public keys only']
  if (key['use'] !== undefined && key['use'] !== 'sig') return ['keys are for signatures: use must be sig']
  if (key['alg'] !== undefined && !allowed.includes(String(key['alg']))) return [`alg of a key must be one of ${allowed.join(', ')}`]
  if (key['kty'] === 'RSA') return rsaBits(key['n']) >= minRsaBits ? [] : [`RSA keys have at least ${minRsaBits} bits`]
  const curve = `${key['kty']} ${key['crv']}`
  return curve === 'EC P-256' || curve === 'OKP Ed25519' ? [] : ['keys are RSA, P-256 or Ed25519']
}

function rsaBits(modulus: unknown): number {
  const bytes = Buffer.from(typeof modulus === 'string' ? modulus : '', 'base64url')
  const first = bytes.findIndex((byte) => byte !== 0)
  return first === -1 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24
}
