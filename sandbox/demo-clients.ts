import type { ClientProfile } from '@bankside/bank/clients/client'
import type { KeyKind } from '@bankside/certs/authority'
import type { Organisation } from '@bankside/certs/sandbox-credentials'
import type { SigningAlgorithm } from '@bankside/certs/signing-keys'

export type DemoClient = {
  readonly clientId: string
  readonly profile: ClientProfile
  /** What customers are shown. */
  readonly name: string
  readonly firstParty: boolean
  readonly authentication: 'private_key_jwt' | 'tls_client_auth'
  readonly senderConstraint: 'dpop' | 'mtls'
  readonly signingAlgorithm: SigningAlgorithm
  readonly scopes: readonly string[]
  readonly organisation: Organisation
  readonly keyKind: KeyKind
  /** How a client of CIBA learns that its customer has answered. */
  readonly delivery?: 'poll' | 'ping'
  /** What is registered beside what follows from the above. */
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** All that a client can have, of the API it uses. */
export const openBankingScopes = ['openid', 'accounts', 'payments', 'grant_management_query', 'grant_management_revoke'] as const
export const bankScopes = [
  'openid',
  'profile',
  'accounts:read',
  'transactions:read',
  'payments:write',
  'beneficiaries:read',
  'beneficiaries:write',
] as const

const bank: Organisation = {
  name: 'Bankside sandbox',
  identifier: 'PSDGB-FCA-900100',
  directoryId: '001580000900100BANKSIDE',
  roles: ['PSP_AS'],
}

function thirdParty(name: string, number: string): Organisation {
  const directoryId = `001580000${number}${(name.split(' ')[0] ?? '').toUpperCase()}`
  return { name: `${name} Ltd`, identifier: `PSDGB-FCA-${number}`, directoryId, roles: ['PSP_AI', 'PSP_PI'] }
}

/** Every way a FAPI 2.0 client may authenticate, with every way its tokens may be bound; a client of each other profile; the bank's own app. */
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
    clientId: 'tpp-ed25519',
    profile: 'fapi2_sp',
    name: 'Elderflower Savings',
    firstParty: false,
    authentication: 'private_key_jwt',
    senderConstraint: 'dpop',
    signingAlgorithm: 'EdDSA',
    scopes: openBankingScopes,
    organisation: thirdParty('Elderflower Savings', '900105'),
    keyKind: 'ec',
    metadata: { require_dpop_nonce: true },
  },
  {
    clientId: 'tpp-ms-dpop',
    profile: 'fapi2_ms',
    name: 'Foxglove Finance',
    firstParty: false,
    authentication: 'private_key_jwt',
    senderConstraint: 'dpop',
    signingAlgorithm: 'ES256',
    scopes: openBankingScopes,
    organisation: thirdParty('Foxglove Finance', '900106'),
    keyKind: 'ec',
    metadata: { authorization_signed_response_alg: 'ES256' },
  },
  {
    clientId: 'tpp-ms-mtls',
    profile: 'fapi2_ms',
    name: 'Greyfriars Wealth',
    firstParty: false,
    authentication: 'tls_client_auth',
    senderConstraint: 'mtls',
    signingAlgorithm: 'PS256',
    scopes: openBankingScopes,
    organisation: thirdParty('Greyfriars Wealth', '900107'),
    keyKind: 'rsa',
  },
  {
    clientId: 'tpp-fapi1-hybrid',
    profile: 'fapi1_adv_hybrid',
    name: 'Harbour Lending',
    firstParty: false,
    authentication: 'private_key_jwt',
    senderConstraint: 'mtls',
    signingAlgorithm: 'PS256',
    scopes: openBankingScopes,
    organisation: thirdParty('Harbour Lending', '900108'),
    keyKind: 'rsa',
  },
  {
    clientId: 'tpp-fapi1-jarm',
    profile: 'fapi1_adv_jarm',
    name: 'Inkwell Accounting',
    firstParty: false,
    authentication: 'tls_client_auth',
    senderConstraint: 'mtls',
    signingAlgorithm: 'PS256',
    scopes: openBankingScopes,
    organisation: thirdParty('Inkwell Accounting', '900109'),
    keyKind: 'rsa',
  },
  {
    clientId: 'tpp-ciba-poll',
    profile: 'fapi_ciba',
    name: 'Juniper Checkout',
    firstParty: false,
    authentication: 'private_key_jwt',
    senderConstraint: 'mtls',
    signingAlgorithm: 'PS256',
    scopes: openBankingScopes,
    organisation: thirdParty('Juniper Checkout', '900110'),
    keyKind: 'rsa',
    delivery: 'poll',
  },
  {
    clientId: 'tpp-ciba-ping',
    profile: 'fapi_ciba',
    name: 'Kestrel Payments',
    firstParty: false,
    authentication: 'tls_client_auth',
    senderConstraint: 'mtls',
    signingAlgorithm: 'PS256',
    scopes: openBankingScopes,
    organisation: thirdParty('Kestrel Payments', '900111'),
    keyKind: 'rsa',
    delivery: 'ping',
  },
  {
    clientId: 'uk-resource-server',
    profile: 'resource_server',
    name: 'UK Open Banking API of another make',
    firstParty: false,
    authentication: 'private_key_jwt',
    senderConstraint: 'mtls',
    signingAlgorithm: 'PS256',
    scopes: [],
    organisation: bank,
    keyKind: 'ec',
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
    organisation: bank,
    keyKind: 'ec',
  },
]
