import type { ClientProfile } from '@bankside/bank/clients/client'
import type { KeyKind } from '@bankside/certs/authority'
import { type Organisation, subjectDistinguishedName } from '@bankside/certs/sandbox-credentials'
import type { JWK } from 'jose'

export type DemoClient = {
  readonly clientId: string
  readonly profile: ClientProfile
  /** What customers are shown. */
  readonly name: string
  readonly firstParty: boolean
  readonly authentication: 'private_key_jwt' | 'tls_client_auth'
  readonly senderConstraint: 'dpop' | 'mtls'
  readonly signingAlgorithm: 'ES256' | 'PS256'
  readonly scopes: readonly string[]
  readonly organisation: Organisation
  readonly keyKind: KeyKind
}

/** All that a client can have, of the API it uses. */
export const openBankingScopes = ['openid', 'accounts', 'payments'] as const
export const bankScopes = [
  'openid',
  'profile',
  'accounts:read',
  'transactions:read',
  'payments:write',
  'beneficiaries:read',
  'beneficiaries:write',
] as const

function thirdParty(name: string, number: string): Organisation {
  const directoryId = `001580000${number}${(name.split(' ')[0] ?? '').toUpperCase()}`
  return { name: `${name} Ltd`, identifier: `PSDGB-FCA-${number}`, directoryId, roles: ['PSP_AI', 'PSP_PI'] }
}

/** Every way a FAPI 2.0 client may authenticate, with every way its tokens may be bound; and the bank's own app. */
export const demoClients: readonly DemoClient[] = [
  {
    clientId: 'tpp-pkjwt-dpop',
    profile: 'fapi2_sp',
    name: 'Acorn Money',
    firstParty: false,
    authentication: 'private_key_jwt',
    senderConstraint: 'dpop',
    signingAlgorithm: 'ES256',
    scopes: openBankingScopes,
    organisation: thirdParty('Acorn Money', '900101'),
    keyKind: 'ec',
  },
  {
    clientId: 'tpp-pkjwt-mtls',
    profile: 'fapi2_sp',
    name: 'Brightwater Budgeting',
    firstParty: false,
    authentication: 'private_key_jwt',
    senderConstraint: 'mtls',
    signingAlgorithm: 'PS256',
    scopes: openBankingScopes,
    organisation: thirdParty('Brightwater Budgeting', '900102'),
    keyKind: 'ec',
  },
  {
    clientId: 'tpp-tls-dpop',
    profile: 'fapi2_sp',
    name: 'Cobalt Pay',
    firstParty: false,
    authentication: 'tls_client_auth',
    senderConstraint: 'dpop',
    signingAlgorithm: 'ES256',
    scopes: openBankingScopes,
    organisation: thirdParty('Cobalt Pay', '900103'),
    keyKind: 'ec',
  },
  {
    clientId: 'tpp-tls-mtls',
    profile: 'fapi2_sp',
    name: 'Dunmore Accounts',
    firstParty: false,
    authentication: 'tls_client_auth',
    senderConstraint: 'mtls',
    signingAlgorithm: 'PS256',
    scopes: openBankingScopes,
    organisation: thirdParty('Dunmore Accounts', '900104'),
    keyKind: 'rsa',
  },
  {
    clientId: 'bank-app',
    profile: 'fapi2_sp',
    name: 'Bankside app',
    firstParty: true,
    authentication: 'private_key_jwt',
    senderConstraint: 'dpop',
    signingAlgorithm: 'ES256',
    scopes: bankScopes,
    organisation: { name: 'Bankside sandbox', identifier: 'PSDGB-FCA-900100', directoryId: '001580000900100BANKSIDE', roles: ['PSP_AS'] },
    keyKind: 'ec',
  },
]

/** What is registered for a client: RFC 7591 metadata, with RFC 8705 and RFC 9449. */
export function metadataOf(
  client: DemoClient,
  { redirectUri, keys }: { redirectUri: string; keys: readonly JWK[] },
): Record<string, unknown> {
  return {
    client_name: client.name,
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    response_types: ['code'],
    token_endpoint_auth_method: client.authentication,
    // No algorithm is named: whichever key of its file a program takes, the client may sign with it.
    ...(client.authentication === 'tls_client_auth' && { tls_client_auth_subject_dn: subjectDistinguishedName(client.organisation) }),
    ...(client.senderConstraint === 'dpop' ? { dpop_bound_access_tokens: true } : { tls_client_certificate_bound_access_tokens: true }),
    require_pushed_authorization_requests: true,
    id_token_signed_response_alg: client.signingAlgorithm,
    jwks: { keys },
    scope: client.scopes.join(' '),
    subject_type: client.firstParty ? 'public' : 'pairwise',
  }
}
