import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { type ClientProfile, clientProfiles } from '@bankside/bank/clients/client'
import { selfSign } from '@bankside/certs/authority'
import { certificateKey } from '@bankside/certs/brought-certificate'
import { assertClientPolicy } from './client-policy.ts'

const jwkOf = (type: 'rsa' | 'ec' | 'ed25519', options: object = {}) => {
  const { publicKey } = generateKeyPairSync(type as 'rsa', options as { modulusLength: number })
  return publicKey.export({ format: 'jwk' })
}
const p256 = jwkOf('ec', { namedCurve: 'P-256' })

const good = {
  redirect_uris: ['https://third-party.example/callback'],
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  response_types: ['code'],
  token_endpoint_auth_method: 'private_key_jwt',
  token_endpoint_auth_signing_alg: 'ES256',
  dpop_bound_access_tokens: true,
  require_pushed_authorization_requests: true,
  id_token_signed_response_alg: 'PS256',
  jwks: { keys: [p256] },
  scope: 'openid accounts',
}
const byCertificate = {
  ...good,
  token_endpoint_auth_method: 'tls_client_auth',
  token_endpoint_auth_signing_alg: undefined,
  tls_client_auth_subject_dn: 'CN=third-party.example',
  jwks: undefined,
}

const refused: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
  ['FAPI2-AS-03 a public client', { token_endpoint_auth_method: 'none' }, /token_endpoint_auth_method/],
  ['FAPI2-AS-06 BCP-08 a client secret in the header', { token_endpoint_auth_method: 'client_secret_basic' }, /token_endpoint_auth_method/],
  ['FAPI2-AS-06 a client secret in the body', { token_endpoint_auth_method: 'client_secret_post' }, /token_endpoint_auth_method/],
  ['FAPI2-AS-06 a shared key', { token_endpoint_auth_method: 'client_secret_jwt' }, /token_endpoint_auth_method/],
  ['FAPI2-AS-06 a registered secret', { client_secret: 'x' }, /client_secret/],
  ['FAPI2-AS-04 no sender constraint', { dpop_bound_access_tokens: false }, /exactly one/],
  ['FAPI2-AS-05 two sender constraints', { tls_client_certificate_bound_access_tokens: true }, /exactly one/],
  ['FAPI2-AZ-03 PAR-08 no pushed requests', { require_pushed_authorization_requests: false }, /require_pushed/],
  ['FAPI2-AZ-01 BCP-03 the implicit grant', { response_types: ['token'] }, /response_types/],
  ['FAPI2-AZ-01 the hybrid flow', { response_types: ['code id_token'] }, /response_types/],
  ['FAPI2-AS-02 BCP-07 the password grant', { grant_types: ['password'] }, /grant_types/],
  ['FAPI2-CR-02 an RS256 assertion', { token_endpoint_auth_signing_alg: 'RS256' }, /token_endpoint_auth_signing_alg/],
  ['FAPI2-CR-03 an unsigned assertion', { token_endpoint_auth_signing_alg: 'none' }, /token_endpoint_auth_signing_alg/],
  ['FAPI2-CR-02 an RS256 ID token', { id_token_signed_response_alg: 'RS256' }, /id_token_signed_response_alg/],
  ['FAPI2-AZ-08 FAPI2-NET-01 an http redirect URI', { redirect_uris: ['http://third-party.example/callback'] }, /https/],
  ['FAPI2-AZ-08 a loopback redirect URI', { redirect_uris: ['http://127.0.0.1/callback'] }, /https/],
  ['BCP-01 a redirect URI with a user', { redirect_uris: ['https://good.example@evil.example/'] }, /user/],
  ['BCP-01 BCP-17 a redirect URI whose host is a wildcard', { redirect_uris: ['https://*.third-party.example/'] }, /host/],
  ['BCP-17 a redirect URI whose host ends a directive', { redirect_uris: ['https://x;frame-ancestors/'] }, /host/],
  ['BCP-17 a redirect URI whose host ends a policy', { redirect_uris: ['https://x,default-src/'] }, /host/],
  ['BCP-17 an address after signing out with such a host', { post_logout_redirect_uris: ["https://x'self'/"] }, /post_logout/],
  ['BCP-01 a redirect URI with a fragment', { redirect_uris: ['https://third-party.example/#x'] }, /fragment/],
  [
    'BCP-01 a redirect URI with a wildcard is compared as it stands, a scheme of its own is refused',
    { redirect_uris: ['app:/callback'] },
    /https/,
  ],
  [
    'LOGOUT-01 FAPI2-AS-07 an http address after signing out',
    { post_logout_redirect_uris: ['http://third-party.example/'] },
    /post_logout/,
  ],
  ['LOGOUT-01 an address after signing out that is none', { post_logout_redirect_uris: ['out'] }, /post_logout/],
  ['LOGOUT-01 an address after signing out with a fragment', { post_logout_redirect_uris: ['https://a.example/#x'] }, /post_logout/],
  ['LOGOUT-01 addresses that are no list', { post_logout_redirect_uris: 'https://a.example/' }, /post_logout/],
  ['LOGOUT-01 more addresses than anybody needs', { post_logout_redirect_uris: Array(11).fill('https://a.example/') }, /at most/],
  ['DCR-06 a logout told over http', { backchannel_logout_uri: 'http://third-party.example/out' }, /backchannel_logout_uri/],
  ['DCR-06 a logout told to a user of a host', { backchannel_logout_uri: 'https://a@third-party.example/' }, /backchannel_logout_uri/],
  ['LOGOUT-01 a session name that is asked for by a word', { backchannel_logout_session_required: 'yes' }, /session_required/],
  ['RAR-02 a detail type that nobody knows', { authorization_details_types: ['surprise'] }, /authorization_details_types/],
  ['RAR-02 detail types that are none', { authorization_details_types: [] }, /authorization_details_types/],
  ['FAPI2-AZ-06 no redirect URI', { redirect_uris: [] }, /redirect_uris/],
  ['FAPI2-NET-05 FAPI2-CR-07 a key set without TLS', { jwks: undefined, jwks_uri: 'http://third-party.example/jwks' }, /jwks_uri/],
  ['DCR-06 a key set at an address with a user', { jwks: undefined, jwks_uri: 'https://u:p@third-party.example/jwks' }, /jwks_uri/],
  ['FAPI2-CR-07 keys by value and by address', { jwks_uri: 'https://third-party.example/jwks' }, /either jwks or jwks_uri/],
  ['FAPI2-CR-04 an RSA key of 1024 bits', { jwks: { keys: [jwkOf('rsa', { modulusLength: 1024 })] } }, /2048/],
  ['FAPI2-CR-04 an RSA key of 2047 bits', { jwks: { keys: [jwkOf('rsa', { modulusLength: 2047 })] } }, /2048/],
  ['FAPI2-CR-05 a curve that is not on the list', { jwks: { keys: [jwkOf('ec', { namedCurve: 'secp256k1' })] } }, /P-256/],
  ['FAPI2-CR-01 a private key', { jwks: { keys: [{ ...p256, d: 'x' }] } }, /public/],
  ['FAPI2-CR-01 a symmetric key', { jwks: { keys: [{ kty: 'oct', k: 'x' }] } }, /public/],
  ['FAPI2-CR-02 a key for RS256', { jwks: { keys: [{ ...p256, alg: 'RS256' }] } }, /alg of a key/],
  ['MTLS-01 tls_client_auth without a subject', { ...byCertificate, tls_client_auth_subject_dn: undefined }, /exactly one/],
  ['MTLS-01 tls_client_auth with two subjects', { ...byCertificate, tls_client_auth_san_dns: 'third-party.example' }, /exactly one/],
]

for (const [what, change, problem] of refused)
  test(`${what} is refused at registration`, () => {
    const metadata = Object.fromEntries(Object.entries({ ...good, ...change }).filter(([, value]) => value !== undefined))
    assert.throws(() => assertClientPolicy(metadata, 'fapi2_sp'), problem)
  })

const defined = (metadata: object) => Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== undefined))

test('FAPI2-AS-05 FAPI2-AS-06 both ways to authenticate with both sender constraints are accepted', () => {
  const mtls = { dpop_bound_access_tokens: undefined, tls_client_certificate_bound_access_tokens: true }
  for (const metadata of [good, { ...good, ...mtls }, byCertificate, { ...byCertificate, ...mtls }])
    assertClientPolicy(defined(metadata), 'fapi2_sp')
})

test('FAPI2-CR-02 FAPI2-CR-04 FAPI2-CR-05 keys for PS256, ES256 and Ed25519 are accepted', () => {
  for (const key of [jwkOf('rsa', { modulusLength: 2048 }), p256, jwkOf('ed25519')])
    assertClientPolicy({ ...good, jwks: { keys: [key] } }, 'fapi2_sp')
})

test('FAPI2-AZ-08 everything that is wrong is said at once', () => {
  assert.throws(
    () => assertClientPolicy({ ...good, response_types: ['token'], id_token_signed_response_alg: 'none' }, 'fapi2_sp'),
    /response_types.*id_token_signed/,
  )
})

const bound = { dpop_bound_access_tokens: undefined, tls_client_certificate_bound_access_tokens: true }
const messageSigning = { ...good, require_signed_request_object: true }
const hybrid = {
  ...messageSigning,
  ...bound,
  response_types: ['code id_token'],
  require_pushed_authorization_requests: undefined,
}
const jarm = { ...hybrid, response_types: ['code'] }
const ciba = {
  ...messageSigning,
  ...bound,
  redirect_uris: [],
  response_types: [],
  grant_types: ['urn:openid:params:grant-type:ciba', 'refresh_token'],
  require_pushed_authorization_requests: undefined,
  backchannel_token_delivery_mode: 'poll',
  backchannel_authentication_request_signing_alg: 'ES256',
}
const resourceServer = {
  token_endpoint_auth_method: 'private_key_jwt',
  grant_types: [],
  response_types: [],
  jwks: { keys: [p256] },
  introspection_signed_response_alg: 'PS256',
  audience: 'https://bank.example/open-banking',
}
const goodOf = {
  fapi2_sp: good,
  fapi2_ms: messageSigning,
  fapi1_adv_hybrid: hybrid,
  fapi1_adv_jarm: jarm,
  fapi_ciba: ciba,
  resource_server: resourceServer,
} as const satisfies Record<ClientProfile, object>

const clauses = 'FAPI2-MS-01 FAPI1A-01 FAPI1A-02 FAPI1A-03 FAPI1A-07 FAPI1A-12 FAPI2-MS-13'
for (const profile of clientProfiles)
  test(`${clauses} metadata of ${profile} are accepted for it and for no other profile`, () => {
    assertClientPolicy(defined(goodOf[profile]), profile)
    for (const other of clientProfiles.filter((name) => name !== profile))
      assert.throws(() => assertClientPolicy(defined(goodOf[profile]), other), `${profile} as ${other}`)
  })

const { cert } = await selfSign({ commonName: 'third-party.example', now: new Date() })
const ownCertificate = new X509Certificate(cert).raw.toString('base64')

test('MTLS-02 a certificate that a client signed itself is registered with its key', async () => {
  const metadata = {
    ...good,
    token_endpoint_auth_method: 'self_signed_tls_client_auth',
    jwks: { keys: [await certificateKey(new X509Certificate(cert))] },
  }
  assertClientPolicy(metadata, 'fapi2_sp')
})

const mixed: readonly (readonly [string, ClientProfile, Record<string, unknown>, RegExp])[] = [
  ['FAPI2-MS-01 unsigned requests', 'fapi2_ms', { require_signed_request_object: false }, /require_signed_request_object/],
  ['FAPI2-MS-01 RS256 request objects', 'fapi2_ms', { request_object_signing_alg: 'RS256' }, /request_object_signing_alg/],
  ['FAPI2-CR-03 unsigned request objects', 'fapi2_ms', { request_object_signing_alg: 'none' }, /request_object_signing_alg/],
  ['JARM-02 RS256 authorization responses', 'fapi2_ms', { authorization_signed_response_alg: 'RS256' }, /authorization_signed/],
  ['JARM-02 unsigned authorization responses', 'fapi1_adv_jarm', { authorization_signed_response_alg: 'none' }, /authorization_signed/],
  ['FAPI2-MS-14 encrypted responses', 'fapi2_ms', { authorization_encrypted_response_alg: 'RSA-OAEP' }, /nothing is encrypted/],
  ['FAPI2-MS-07 FAPI2-MS-08 the response mode query', 'fapi2_ms', { response_modes: ['query'] }, /response_modes/],
  ['FAPI2-MS-08 signed responses', 'fapi2_sp', { response_modes: ['jwt'] }, /response_modes/],
  ['FAPI1A-02 the response mode query', 'fapi1_adv_jarm', { response_modes: ['query'] }, /response_modes/],
  ['FAPI1A-02 the response mode jwt', 'fapi1_adv_hybrid', { response_modes: ['jwt'] }, /response_modes/],
  ['FAPI1A-02 both flows', 'fapi1_adv_hybrid', { response_types: ['code id_token', 'code'] }, /response_types/],
  ['FAPI1A-03 DPoP', 'fapi1_adv_hybrid', { dpop_bound_access_tokens: true }, /dpop_bound_access_tokens/],
  ['FAPI1A-03 bearer tokens', 'fapi1_adv_jarm', { tls_client_certificate_bound_access_tokens: false }, /tls_client_certificate_bound/],
  ['FAPI1A-12 an EdDSA assertion', 'fapi1_adv_hybrid', { token_endpoint_auth_signing_alg: 'EdDSA' }, /token_endpoint_auth_signing_alg/],
  ['FAPI1A-12 an EdDSA ID token', 'fapi1_adv_hybrid', { id_token_signed_response_alg: 'EdDSA' }, /id_token_signed_response_alg/],
  ['FAPI1A-12 FAPI1A-14 an Ed25519 key', 'fapi1_adv_jarm', { jwks: { keys: [jwkOf('ed25519')] } }, /Ed25519/],
  ['FAPI1A-07 a client secret', 'fapi1_adv_hybrid', { token_endpoint_auth_method: 'client_secret_jwt' }, /token_endpoint_auth_method/],
  ['CIBA-01 a public client', 'fapi_ciba', { token_endpoint_auth_method: 'none' }, /token_endpoint_auth_method/],
  ['CIBA-03 push', 'fapi_ciba', { backchannel_token_delivery_mode: 'push' }, /backchannel_token_delivery_mode/],
  ['CIBA-03 ping without an address', 'fapi_ciba', { backchannel_token_delivery_mode: 'ping' }, /notification_endpoint/],
  ['CIBA-04 RS256 requests', 'fapi_ciba', { backchannel_authentication_request_signing_alg: 'RS256' }, /request_signing_alg/],
  ['CIBA-03 a redirect URI', 'fapi_ciba', { redirect_uris: ['https://third-party.example/callback'] }, /redirects/],
  ['CIBA-03 a delivery mode', 'fapi2_sp', { backchannel_token_delivery_mode: 'poll' }, /CIBA/],
  ['FAPI2-MS-13 the client credentials grant', 'resource_server', { grant_types: ['client_credentials'] }, /grant_types/],
  [
    'FAPI2-CR-02 FAPI2-MS-10 RS256 introspection',
    'resource_server',
    { introspection_signed_response_alg: 'RS256' },
    /introspection_signed/,
  ],
  [
    'MTLS-02 a certificate of its own without keys',
    'fapi2_sp',
    { token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: undefined },
    /jwks/,
  ],
  ['INT-03 no API that it is', 'resource_server', { audience: undefined }, /audience/],
  ['FAPI2-MS-13 an API of its own', 'fapi2_sp', { audience: 'https://bank.example/open-banking' }, /audience/],
  ['DPOP-07 a nonce where there are no proofs', 'fapi1_adv_jarm', { require_dpop_nonce: true }, /require_dpop_nonce/],
  ['DPOP-07 a nonce that is neither asked for nor not', 'fapi2_sp', { require_dpop_nonce: 'yes' }, /require_dpop_nonce/],
  ['MTLS-02 a certificate that is not with its key', 'fapi2_sp', { token_endpoint_auth_method: 'self_signed_tls_client_auth' }, /x5c/],
  ['MTLS-02 a certificate of another key', 'fapi2_sp', { jwks: { keys: [{ ...p256, x5c: [ownCertificate] }] } }, /certificate of the key/],
]
for (const [what, profile, change, problem] of mixed)
  test(`${what}: refused at registration for ${profile}`, () => {
    assert.throws(() => assertClientPolicy(defined({ ...goodOf[profile], ...change }), profile), problem)
  })
