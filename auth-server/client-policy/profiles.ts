import type { ClientProfile } from '@bankside/bank/clients/client'
import type { Client } from 'oidc-provider'

/**
 * Profile × rule, each cell with the clause that says so: FAPI 2.0 Security Profile ("SP") and Message Signing ("MS"), FAPI 1.0
 * Baseline ("Part 1") and Advanced ("Part 2"), FAPI-CIBA ("CIBA"). The rules contradict each other, so whatever applies one
 * reads it here, for the client at hand: at registration (`client-policy.ts`) and with every request. The library's own
 * switch enforces little of this, and nothing of it is a default that a client could fall back to.
 */
export type Profile = {
  /** What the library calls it. */
  readonly fapi: '2.0' | '1.0 Final'
  readonly clientAuthentication: readonly ClientAuthentication[]
  /** What the `aud` of a client assertion may be: the issuer as a string, or any address that it could be for, also among others. */
  readonly assertionAudience: 'issuer' | 'issuer_or_endpoint'
  readonly senderConstraints: readonly SenderConstraint[]
  readonly grantTypes: readonly string[]
  readonly responseTypes: readonly string[]
  /** The first is what a request without `response_mode` gets. */
  readonly responseModes: readonly string[]
  readonly pushedRequests: 'required' | 'optional' | 'refused'
  readonly requestObjects: 'required' | 'refused'
  readonly pkce: 'required' | 'required_when_pushed'
  /** Whether each request has a nonce if it asks for `openid`, a state if it does not. */
  readonly nonceOrState: 'required' | 'optional'
  /** Of client assertions and request objects. EdDSA means Ed25519 here (no other curve passes). */
  readonly signingAlgorithms: readonly Algorithm[]
  /** Of ID tokens, of authorization responses (JARM) and of userinfo. */
  readonly responseAlgorithms: readonly Algorithm[]
  /** How far ahead of our clock a JWT may be dated. */
  readonly clockSkewSeconds: number
  readonly refreshTokens: 'kept' | 'rotated'
  readonly backchannelDelivery: readonly ('poll' | 'ping')[]
  readonly introspection: 'allowed' | 'refused'
  readonly minRsaBits: number
}

export type ClientAuthentication = 'private_key_jwt' | 'tls_client_auth' | 'self_signed_tls_client_auth'
export type SenderConstraint = 'dpop' | 'mtls'
export type Algorithm = 'PS256' | 'ES256' | 'EdDSA' | 'Ed25519'

/** SP 5.4.1-1.2. Both names of one algorithm (RFC 9864) are taken; what is signed here goes by the older. */
const fapi2Algorithms = ['PS256', 'ES256', 'EdDSA', 'Ed25519'] as const
const fapi2ResponseAlgorithms = ['PS256', 'ES256', 'EdDSA'] as const
const fapi1Algorithms = ['PS256', 'ES256'] as const

const fapi2SecurityProfile = {
  fapi: '2.0',
  clientAuthentication: ['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'], // SP 5.3.2.1-6
  assertionAudience: 'issuer', // SP 5.3.2.1-8
  senderConstraints: ['dpop', 'mtls'], // SP 5.3.2.1-4, -5
  grantTypes: ['authorization_code', 'refresh_token', 'client_credentials'], // SP 5.3.2.1-2
  responseTypes: ['code'], // SP 5.3.2.2-1
  responseModes: ['query'], // SP 5.3.2.2-7: what RFC 9207 adds `iss` to
  pushedRequests: 'required', // SP 5.3.2.2-3
  requestObjects: 'refused', // SP 5.3.2.2: requests are protected by PAR; whoever signs them is a client of MS
  pkce: 'required', // SP 5.3.2.2-5
  nonceOrState: 'optional', // SP 5.3.2.2-5: PKCE protects the response
  signingAlgorithms: fapi2Algorithms, // SP 5.4.1-1.2
  responseAlgorithms: fapi2ResponseAlgorithms, // SP 5.4.1-1.2
  clockSkewSeconds: 15, // SP 5.3.2.1-13: at least 10, at most 60
  refreshTokens: 'kept', // SP 5.3.2.1-9
  backchannelDelivery: [], // CIBA is a profile of its own
  introspection: 'refused', // MS 6.2
  minRsaBits: 2048, // SP 5.4.1-2
} as const satisfies Profile

const fapi1Advanced = {
  fapi: '1.0 Final',
  clientAuthentication: ['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'], // Part 2 5.2.2-14
  assertionAudience: 'issuer_or_endpoint', // RFC 7523 3-3, OpenID Connect Core 9, RFC 9126 2
  senderConstraints: ['mtls'], // Part 2 5.2.2-5, -6
  grantTypes: ['authorization_code', 'refresh_token', 'client_credentials'], // Part 1 5.2.2
  pushedRequests: 'optional', // Part 2 5.2.2-11
  requestObjects: 'required', // Part 2 5.2.2-1
  pkce: 'required_when_pushed', // Part 2 5.2.2-18
  nonceOrState: 'required', // Part 1 5.2.2.2, 5.2.2.3
  signingAlgorithms: fapi1Algorithms, // Part 2 8.6
  responseAlgorithms: fapi1Algorithms, // Part 2 8.6
  clockSkewSeconds: 15, // RFC 7519 4.1.5: a small leeway
  refreshTokens: 'kept', // Part 1 5.2.2 leaves it open; UK Read/Write: they last as long as the consent
  backchannelDelivery: [], // CIBA is a profile of its own
  introspection: 'refused', // RFC 7662 4: for protected resources
  minRsaBits: 2048, // Part 1 5.2.2-5
} as const satisfies Omit<Profile, 'responseTypes' | 'responseModes'>

export const profiles = {
  fapi2_sp: fapi2SecurityProfile,
  fapi2_ms: {
    ...fapi2SecurityProfile,
    requestObjects: 'required', // MS 5.3.1-1
    responseModes: ['jwt', 'query.jwt'], // MS 5.4.1
  },
  fapi1_adv_hybrid: {
    ...fapi1Advanced,
    responseTypes: ['code id_token'], // Part 2 5.2.2-2
    responseModes: ['fragment'], // Part 2 5.2.2.1, OAuth Multiple Response Types 3
  },
  fapi1_adv_jarm: {
    ...fapi1Advanced,
    responseTypes: ['code'], // Part 2 5.2.2-2
    responseModes: ['jwt', 'query.jwt', 'fragment.jwt'], // Part 2 5.2.2.2, JARM 2.3
  },
  fapi_ciba: {
    ...fapi1Advanced, // CIBA 5.2.1: as Part 2, except for what concerns its front channel
    grantTypes: ['urn:openid:params:grant-type:ciba', 'refresh_token', 'client_credentials'], // CIBA 5.2.2
    responseTypes: [],
    responseModes: [],
    pushedRequests: 'refused', // CIBA 5.2.1
    requestObjects: 'required', // CIBA 5.2.2-6: the backchannel request is a signed one
    nonceOrState: 'optional', // CIBA 7.1 knows neither
    backchannelDelivery: ['poll', 'ping'], // CIBA 5.2.2-3, -4, -5: never push
  },
  /** A server that is asked for data and asks here about the token (RFC 7662): it gets no token and reaches no customer. */
  resource_server: {
    ...fapi2SecurityProfile,
    senderConstraints: [],
    grantTypes: [],
    responseTypes: [],
    responseModes: [],
    pushedRequests: 'refused',
    introspection: 'allowed', // MS 5.5.1, 6.2
  },
} as const satisfies Record<ClientProfile, Profile>

export const isClientProfile = (text: string): text is ClientProfile => Object.hasOwn(profiles, text)

/** The row that every rule about this client is read from. Whatever registered it, a client without a profile is not served. */
export function profileOf(client: Client): Profile {
  const profile = client['profile']
  if (typeof profile !== 'string' || !isClientProfile(profile)) throw new Error(`client ${client.clientId} has no profile`)
  return profiles[profile]
}

/** For what the library takes one value of, all profiles together. */
export const allOfProfiles = <Value>(cell: (profile: Profile) => readonly Value[]): Value[] => [
  ...new Set(Object.values(profiles).flatMap((profile: Profile) => cell(profile))),
]
