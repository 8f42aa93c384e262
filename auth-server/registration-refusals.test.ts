import 'reflect-metadata' // First: what issues certificates does not load without it.
import assert from 'node:assert/strict'
import { constants, createHmac, createSign, generateKeyPairSync, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { createAuthority } from '@bankside/certs/authority'
import { issueServerCertificate, issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { issueOddCertificate, type Oddity } from '@bankside/certs/testing/odd-certificate'
import { sql } from '@bankside/service-kit/postgres'
import { KeyUsageFlags } from '@peculiar/x509'
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair } from 'jose'
import { Applicant } from './testing/applicant.ts'
import { refusal } from './testing/authorise.ts'
import { exchange } from './testing/exchange.ts'
import { assertOfficialRegistration, registrationDefinitionMissing } from './testing/official-registration.ts'
import { type Signed, TestDirectory } from './testing/test-directory.ts'
import { startTestServer, type TestServerInside } from './testing/test-server.ts'

let server: TestServerInside
let directory: TestDirectory
let acorn: Applicant
let other: Applicant
let aisp: Applicant
const refusals: unknown[] = []

before(async () => {
  server = await startTestServer({
    settings: async (authority) => {
      directory = await TestDirectory.start(authority)
      return directory.settings()
    },
  })
  ;[acorn, other, aisp] = await Promise.all([
    Applicant.enrol(server, directory, 'Acorn'),
    Applicant.enrol(server, directory, 'Other'),
    Applicant.enrol(server, directory, 'Aisp', { roles: ['AISP'] }),
  ])
})
after(async () => {
  await server.stop()
  directory.stop()
})

const seconds = (ahead: number) => Math.floor(Date.now() / 1000) + ahead
const clients = async () => Number(await server.owner.oneFirst(sql.unsafe`select count(*) from clients.client`))

/** Refused in these words, and nobody registered. */
async function assertRefused(attempt: Promise<Awaited<ReturnType<Applicant['register']>>>, expected: string, because?: RegExp) {
  const before = await clients()
  const answer = await attempt
  assert.equal(refusal(answer), expected, answer.text)
  if (because !== undefined) assert.match(String(answer.json['error_description']), because)
  assert.equal(await clients(), before)
  if (answer.status === 400) refusals.push(answer.json)
}

type Claims = Readonly<Record<string, unknown>>
const metadata = '400 invalid_client_metadata'
const statementRefused = '400 invalid_software_statement'
const unapproved = '400 unapproved_software_statement'
const redirect = '400 invalid_redirect_uri'

const required = [
  ...['redirect_uris', 'token_endpoint_auth_method', 'grant_types', 'scope', 'application_type'],
  ...['id_token_signed_response_alg', 'request_object_signing_alg'],
]
for (const name of required)
  test(`UKDCR-03 a request without ${name} is refused`, () => assertRefused(acorn.register({ claims: { [name]: undefined } }), metadata))

for (const name of ['iss', 'iat', 'exp', 'aud', 'jti'])
  test(`DCR-004 UKDCR-02 a request without ${name} is refused`, () =>
    assertRefused(acorn.register({ claims: { [name]: undefined } }), metadata))

const bad: readonly (readonly [title: string, claims: () => Claims, expected: string, because?: RegExp])[] = [
  ['DCR-004 UKDCR-02 a request that has expired', () => ({ iat: seconds(-600), exp: seconds(-60) }), metadata, /expired/],
  ['UKDCR-02 a request from the future', () => ({ iat: seconds(600), exp: seconds(900) }), metadata, /future/],
  ['UKDCR-02 a request that never ends', () => ({ exp: seconds(100_000) }), metadata, /exp/],
  ['UKDCR-02 a request that ends before it begins', () => ({ iat: seconds(10), exp: seconds(5) }), metadata],
  ['UKDCR-02 times as text', () => ({ exp: String(seconds(300)) }), metadata],
  ['DCR-004 UKDCR-02 iss of another software', () => ({ iss: other.software.softwareId }), metadata, /iss/],
  ['DCR-004 UKDCR-02 iss that is too short', () => ({ iss: '' }), metadata, /iss/],
  ['DCR-004 UKDCR-02 iss that is too long', () => ({ iss: 'a'.repeat(23) }), metadata, /iss/],
  ['UKDCR-02 iss with other characters', () => ({ iss: 'a-b_c' }), metadata, /iss/],
  ['UKDCR-02 aud of another bank', () => ({ aud: '0015800001041RHAAY' }), metadata, /aud/],
  ['UKDCR-02 aud of several', () => ({ aud: ['BanksideSandbox', 'other'] }), metadata, /aud/],
  ['UKDCR-02 a jti that is no UUID', () => ({ jti: 'x' }), metadata, /jti/],
  ['UKDCR-02 a jti that is a UUID of version 1', () => ({ jti: '8b5a09f1-6d4c-142d-b7cd-5b9a2423c52f' }), metadata, /jti/],
  [
    'UKDCR-04 SSA-04 DCR-03 a redirect that the statement does not have',
    () => ({ redirect_uris: ['https://evil.example/callback'] }),
    redirect,
  ],
  ['UKDCR-04 one redirect more', () => ({ redirect_uris: [...acorn.software.redirectUris, 'https://evil.example/'] }), redirect],
  ['UKDCR-04 a redirect with a path more', () => ({ redirect_uris: [`${acorn.software.redirectUris[0]}/..`] }), redirect],
  ['UKDCR-04 no redirect', () => ({ redirect_uris: [] }), redirect],
  ['UKDCR-04 redirects as text', () => ({ redirect_uris: acorn.software.redirectUris[0] }), metadata],
  ['UKDCR-05 FAPI2-AS-06 a secret in the header', () => ({ token_endpoint_auth_method: 'client_secret_basic' }), metadata],
  ['UKDCR-05 FAPI2-AS-06 a secret in the body', () => ({ token_endpoint_auth_method: 'client_secret_post' }), metadata],
  ['UKDCR-05 FAPI2-AS-06 a shared key', () => ({ token_endpoint_auth_method: 'client_secret_jwt' }), metadata],
  ['UKDCR-05 FAPI2-AS-03 a public client', () => ({ token_endpoint_auth_method: 'none' }), metadata],
  ['UKDCR-05 a certificate of its own', () => ({ token_endpoint_auth_method: 'self_signed_tls_client_auth' }), metadata],
  ['UKDCR-05 a registered secret', () => ({ client_secret: 'hunter2hunter2hunter2' }), metadata],
  ['UKDCR-06 DCR-04 the implicit grant', () => ({ grant_types: ['authorization_code', 'implicit'] }), metadata],
  ['UKDCR-06 DCR-04 the password grant', () => ({ grant_types: ['password'] }), metadata],
  ['DCR-010 UKDCR-06 DCR-04 response_types token', () => ({ response_types: ['token'] }), metadata],
  ['DCR-011 UKDCR-06 DCR-04 response_types code token', () => ({ response_types: ['code token'] }), metadata],
  ['DCR-010 UKDCR-06 response_types id_token', () => ({ response_types: ['id_token'] }), metadata],
  ['UKDCR-06 D1 two profiles at once', () => ({ response_types: ['code', 'code id_token'] }), metadata],
  [
    'UKDCR-06 D1 a code for one profile, CIBA for another',
    () => ({ grant_types: ['authorization_code', 'urn:openid:params:grant-type:ciba'] }),
    metadata,
  ],
  ['UKDCR-06 D1 a profile that nobody is offered', () => ({ fapi_profile: 'resource_server' }), metadata, /fapi_profile/],
  ['UKDCR-07 SSA-04 a scope that the software has no role for', () => ({ scope: 'openid fundsconfirmations' }), metadata],
  ['UKDCR-07 a scope of the bank’s own apps', () => ({ scope: 'openid payments:write' }), metadata],
  ['UKDCR-07 a scope that is too long', () => ({ scope: 'a'.repeat(257) }), metadata, /scope/],
  ['UKDCR-08 another application type', () => ({ application_type: 'desktop' }), metadata],
  ['UKDCR-09 an ID token signed with RS256', () => ({ id_token_signed_response_alg: 'RS256' }), metadata],
  ['UKDCR-09 an unsigned ID token', () => ({ id_token_signed_response_alg: 'none' }), metadata],
  ['UKDCR-09 request objects signed with RS256', () => ({ request_object_signing_alg: 'RS256' }), metadata],
  ['UKDCR-09 unsigned request objects', () => ({ request_object_signing_alg: 'none' }), metadata],
  ['UKDCR-09 assertions signed with RS256', () => ({ token_endpoint_auth_signing_alg: 'RS256' }), metadata],
  ['UKDCR-10 no subject where there must be one', () => ({ token_endpoint_auth_method: 'tls_client_auth' }), metadata],
  ['UKDCR-10 a subject where there must be none', () => ({ tls_client_auth_subject_dn: acorn.subject }), metadata],
  [
    'UKDCR-10 CERT-09 the subject of somebody else',
    () => ({ token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: other.subject }),
    metadata,
    /subject/,
  ],
  [
    'UKDCR-10 a subject that is no name',
    () => ({ token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: 'hello' }),
    metadata,
  ],
  ['UKDCR-12 SSA-04 keys by value', () => ({ jwks: { keys: [] } }), metadata, /statement names/],
  ['UKDCR-12 SSA-04 keys at another address', () => ({ jwks_uri: 'https://evil.example/jwks' }), metadata, /statement names/],
  ['SSA-04 the id of another software', () => ({ software_id: other.software.softwareId }), metadata],
  ['DCR-06 a sector that would have to be fetched', () => ({ sector_identifier_uri: 'https://169.254.169.254/' }), metadata],
  ['UKDCR-14 encrypted ID tokens', () => ({ id_token_encrypted_response_alg: 'RSA-OAEP-256' }), metadata, /not accepted/],
  ['UKDCR-14 no statement', () => ({ software_statement: undefined }), statementRefused],
  ['UKDCR-14 a statement that is none', () => ({ software_statement: 'x.y.z' }), statementRefused],
  ['UKDCR-14 texts that no database holds', () => ({ post_logout_redirect_uris: ['https://a.example/\u0000'] }), metadata],
  ['UKDCR-14 half a character', () => ({ response_modes: ['\ud800'] }), metadata],
]
for (const [title, claims, expected, because] of bad)
  test(`${title}: refused`, () => assertRefused(acorn.register({ claims: claims() }), expected, because))

const ciba = {
  grant_types: ['urn:openid:params:grant-type:ciba', 'client_credentials'],
  response_types: undefined,
  backchannel_authentication_request_signing_alg: 'PS256',
  backchannel_token_delivery_mode: 'poll',
}
const badCiba: readonly (readonly [string, Claims])[] = [
  ['push', { backchannel_token_delivery_mode: 'push', backchannel_client_notification_endpoint: 'https://a.example/' }],
  ['ping without an address', { backchannel_token_delivery_mode: 'ping' }],
  ['ping without TLS', { backchannel_token_delivery_mode: 'ping', backchannel_client_notification_endpoint: 'http://a.example/' }],
  ['user codes', { backchannel_user_code_parameter_supported: true }],
  ['unsigned requests', { backchannel_authentication_request_signing_alg: 'none' }],
]
for (const [what, claims] of badCiba)
  test(`UKDCR-11 CIBA with ${what} is refused`, () => assertRefused(acorn.register({ claims: { ...ciba, ...claims } }), metadata))

type Statement = Signed | (() => Promise<Signed>)
const hmacKey = async (key: CryptoKey) => new TextEncoder().encode(await exportSPKI(key))
const badStatements: readonly (readonly [title: string, statement: Statement, expected: string, because?: RegExp])[] = [
  ['SSA-01 signed by the third party itself', () => Promise.resolve({ key: acorn.keys.privateKey }), statementRefused, /signature/],
  ['SSA-01 signed with RS256', { header: { alg: 'RS256' }, key: undefined as never }, statementRefused, /alg/],
  [
    'SSA-01 signed with HS256 under the public key',
    async () => ({ header: { alg: 'HS256' }, key: await hmacKey(directory.keys.publicKey) }),
    statementRefused,
    /alg/,
  ],
  ['SSA-01 of another directory', { claims: { iss: 'OpenBanking Ltd' } }, statementRefused, /no directory/],
  ['SSA-01 with a kid that nobody has', { header: { kid: 'other' } }, statementRefused, /kid/],
  ['SSA-01 without a kid', { header: { kid: undefined } }, statementRefused, /kid/],
  [
    'SSA-01 CERT-14 with a key of its own in the header',
    async () => ({ header: { jwk: await exportJWK(acorn.keys.publicKey) }, key: acorn.keys.privateKey }),
    statementRefused,
    /jwk/,
  ],
  ['SSA-01 CERT-14 with the address of a key', { header: { jku: 'https://evil.example/jwks' } }, statementRefused, /jku/],
  ['SSA-01 CERT-14 with the address of a certificate', { header: { x5u: 'https://evil.example/x' } }, statementRefused, /x5u/],
  ['SSA-01 of another kind', { header: { typ: 'at+jwt' } }, statementRefused, /typ/],
  ['SSA-02 that is old', { claims: { iat: seconds(-1_900) } }, statementRefused, /older/],
  ['SSA-02 from the future', { claims: { iat: seconds(120) } }, statementRefused, /future/],
  ['SSA-02 without a time', { claims: { iat: undefined } }, statementRefused],
  ['SSA-02 without an identifier', { claims: { jti: undefined } }, statementRefused],
  ['SSA-03 CERT-08 of an organisation that was revoked', { claims: { org_status: 'Revoked' } }, unapproved],
  ['SSA-03 CERT-08 of an organisation that withdrew', { claims: { org_status: 'Withdrawn' } }, unapproved],
  [
    'SSA-03 CERT-08 of one whose licence is not active',
    {
      claims: {
        organisation_competent_authority_claims: { authority_id: 'TESTGBR', registration_id: '1', status: 'Withdrawn', authorisations: [] },
      },
    },
    unapproved,
  ],
  ['CERT-14 DCR-06 with keys in the bank’s network', { claims: { software_jwks_endpoint: 'https://169.254.169.254/jwks' } }, unapproved],
  ['CERT-14 DCR-06 with keys at somebody’s', { claims: { software_jwks_endpoint: 'https://localhost.evil.example/jwks' } }, unapproved],
  ['CERT-14 with keys without TLS', { claims: { software_jwks_endpoint: 'http://localhost/jwks' } }, statementRefused],
  [
    'CERT-14 with keys at an address with a user',
    { claims: { software_jwks_endpoint: 'https://localhost@evil.example/jwks' } },
    unapproved,
  ],
  ['CX-01 with a name that is not what it seems', { claims: { software_client_name: 'Acorn\u202e' } }, statementRefused],
  ['CX-01 with a name that is too long', { claims: { software_client_name: 'a'.repeat(41) } }, statementRefused],
  ['UKDCR-14 without an organisation', { claims: { org_id: undefined } }, statementRefused],
]
for (const [what, statement, expected, because] of badStatements)
  test(`a statement ${what} is refused: ${what.split(' ')[0]}`, async () => {
    const given = typeof statement === 'function' ? await statement() : statement
    const { key, ...signed } = given
    const rs256 = given.header?.['alg'] === 'RS256' ? (await generateKeyPair('RS256')).privateKey : key
    const software_statement = await directory.statement(acorn.software, { ...signed, ...(rs256 && { key: rs256 }) })
    await assertRefused(acorn.register({ claims: { software_statement } }), expected, because)
  })

test('SSA-01 FAPI2-CR-03 a statement that is not signed is refused', async () => {
  const [, payload] = (await directory.statement(acorn.software)).split('.')
  const software_statement = `${Buffer.from('{"alg":"none","kid":"directory"}').toString('base64url')}.${payload}.`
  await assertRefused(acorn.register({ claims: { software_statement } }), statementRefused, /alg/)
})

test('SSA-01 a statement whose roles were changed on the way is refused', async () => {
  const [header, payload = '', signature] = (await directory.statement(acorn.software)).split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
  const changed = Buffer.from(JSON.stringify({ ...claims, software_roles: ['AISP', 'PISP', 'CBPII'] })).toString('base64url')
  await assertRefused(
    acorn.register({ claims: { software_statement: [header, changed, signature].join('.') } }),
    statementRefused,
    /signature/,
  )
})

const badSignatures: readonly (readonly [string, () => Promise<Signed>, RegExp])[] = [
  ['DCR-004 UKDCR-01 with RS256', async () => ({ header: { alg: 'RS256' }, key: (await generateKeyPair('RS256')).privateKey }), /alg/],
  [
    'UKDCR-01 FAPI2-CR-01 with HS256 under the public key',
    async () => ({ header: { alg: 'HS256' }, key: await hmacKey(acorn.keys.publicKey) }),
    /alg/,
  ],
  ['UKDCR-01 by another third party', async () => ({ key: other.keys.privateKey }), /signature/],
  ['UKDCR-01 by the directory', async () => ({ key: directory.keys.privateKey }), /signature/],
  ['UKDCR-12 CERT-14 with a kid that nobody has', async () => ({ header: { kid: 'second' } }), /kid/],
  ['UKDCR-12 CERT-14 with its key in the header', async () => ({ header: { jwk: await exportJWK(acorn.keys.publicKey) } }), /jwk/],
  ['UKDCR-12 CERT-14 with the address of a key', async () => ({ header: { jku: `${directory.origin}/evil` } }), /jku/],
  ['UKDCR-12 CERT-14 with a certificate', async () => ({ header: { x5c: ['MIIB'] } }), /x5c/],
  ['UKDCR-12 CERT-14 with the address of a certificate', async () => ({ header: { x5u: `${directory.origin}/evil` } }), /x5u/],
  ['FAPI2-CR-01 with a critical header', async () => ({ header: { crit: ['b64'], b64: true } }), /crit|header/],
]
for (const [what, signed, because] of badSignatures)
  test(`a request signed ${what} is refused: ${what.split(' ')[0]}`, async () => {
    await assertRefused(acorn.register(await signed()), metadata, because)
    assert.ok(!directory.asked.includes('/evil'), 'a header named an address, and it was asked')
  })

test('FAPI2-CR-03 UKDCR-01 a request that is not signed is refused', async () => {
  const [, payload] = (await acorn.request()).split('.')
  const unsigned = `${Buffer.from('{"alg":"none","kid":"first"}').toString('base64url')}.${payload}.`
  await assertRefused(acorn.send('POST', '/register', unsigned), metadata, /alg/)
})

test('UKDCR-01 FAPI2-CR-01 a signature over other bytes is none', async () => {
  const [header, payload] = (await acorn.request()).split('.')
  const signature = createHmac('sha256', 'x').update(`${header}.${payload}`).digest('base64url')
  await assertRefused(acorn.send('POST', '/register', [header, payload, signature].join('.')), metadata)
})

test('UKDCR-02 a request that is sent again is refused, also when the first one was', async () => {
  const request = await acorn.request({ claims: { scope: 'openid fundsconfirmations' } })
  await assertRefused(acorn.send('POST', '/register', request), metadata, /role/)
  await assertRefused(acorn.send('POST', '/register', request), metadata, /jti/)
  const twin = await Applicant.enrol(server, directory, 'Twin')
  const same = await twin.request()
  const statuses = (await Promise.all([1, 2, 3, 4].map(() => twin.send('POST', '/register', same)))).map(({ status }) => status)
  assert.deepEqual(statuses.sort(), [201, 400, 400, 400])
})

test('UKDCR-01 UKDCR-20 anything but a signed request is refused', async () => {
  await assertRefused(
    acorn.send('POST', '/register', JSON.stringify(await acorn.claims()), { contentType: 'application/json' }),
    '401 invalid_token',
  )
  await assertRefused(acorn.send('POST', '/register', 'a=b', { contentType: 'application/x-www-form-urlencoded' }), '415 invalid_request')
  await assertRefused(acorn.send('POST', '/register', await acorn.request(), { contentType: 'text/plain' }), '415 invalid_request')
  for (const body of ['', 'x', '..', 'a.b', 'a.b.c.d.e', '{}', 'bnVsbA.bnVsbA.'])
    assert.equal((await acorn.send('POST', '/register', body)).status, 400, body)
  const atIssuer = await exchange(`${server.issuer}/register`, {
    ca: server.ca,
    method: 'POST',
    body: await acorn.request(),
    headers: { 'content-type': 'application/jwt' },
  })
  assert.equal(atIssuer.status, 404)
})

test('UKDCR-19 a body of more than 64 KiB is refused, whether it says so or not', async () => {
  const large = `${await acorn.request()}${'A'.repeat(70_000)}`
  assert.equal((await acorn.send('POST', '/register', large)).status, 413)
  const chunked = await acorn.send('POST', '/register', large, {}, { 'transfer-encoding': 'chunked', 'content-length': [] as never })
  assert.ok([400, 413].includes(chunked.status), chunked.text)
})

test('UKDCR-19 a flood of registrations from one address meets 429, and is told how long to wait', async () => {
  const limited = await startTestServer({ settings: { RATE_LIMIT_SIGN_IN: '1' } })
  try {
    const flood = Array.from({ length: 15 }, () =>
      exchange(`${limited.mtlsIssuer}/register`, {
        ca: limited.ca,
        method: 'POST',
        body: '{}',
        headers: { 'content-type': 'application/json' },
      }),
    )
    const answers = await Promise.all(flood)
    assert.ok(answers.some(({ status }) => status === 401))
    assert.ok(answers.some(({ status, headers }) => status === 429 && Number(headers['retry-after']) > 0))
  } finally {
    await limited.stop()
  }
})

test('CERT-01 who comes without a certificate, or with one that nobody vouches for, is not listened to', async () => {
  await assertRefused(acorn.register({ credential: undefined }), '401 invalid_client')
  await assertRefused(acorn.register({ credential: await server.issueCertificate('Acorn', { untrusted: true }) }), '401 invalid_client')
})

test('CERT-02 an authority of the same name that is not the one that is trusted vouches for nobody', async () => {
  const impostor = await createAuthority({ commonName: 'Test authority', now: new Date() })
  const { organisation } = acorn.software
  await assertRefused(
    acorn.register({ credential: await issueTransportCertificate(impostor, { organisation, keyKind: 'ec', now: new Date() }) }),
    '401 invalid_client',
  )
})

test('CERT-06 CERT-12 MTLS-01 the statement of one third party over the certificate of another is refused, and so is the other way round', async () => {
  await assertRefused(acorn.register({ credential: other.credential }), statementRefused, /another organisation/)
  const software_statement = await directory.statement(other.software)
  await assertRefused(acorn.register({ claims: { software_statement } }), metadata)
  await assertRefused(other.register({ credential: acorn.credential }), statementRefused, /another organisation/)
})

const subjectOf = ({ software: { organisation } }: Applicant, changes: { identifier?: string; directoryId?: string } = {}) => [
  { C: ['GB'] },
  { O: [organisation.name] },
  { '2.5.4.97': [changes.identifier ?? organisation.identifier] },
  { CN: [changes.directoryId ?? organisation.directoryId] },
]
const licence = { roles: ['PSP_AI', 'PSP_PI'], authorityName: 'Test', authorityId: 'GB-TEST' } as const
const now = new Date()
const day = 86_400_000

const oddities: readonly (readonly [string, () => Oddity, string])[] = [
  [
    'CERT-03 an expired one',
    () => ({ validFrom: new Date(now.getTime() - 9 * day), validTo: new Date(now.getTime() - day) }),
    '401 invalid_client',
  ],
  ['CERT-03 one of tomorrow', () => ({ validFrom: new Date(now.getTime() + day) }), '401 invalid_client'],
  ['CERT-03 one signed with SHA-1', () => ({ signatureHash: 'SHA-1' }), '401 invalid_client'],
  ['CERT-05 one for servers only', () => ({ purposes: ['1.3.6.1.5.5.7.3.1' as never] }), '401 invalid_client'],
  ['CERT-05 one for nothing in particular', () => ({ purposes: [] }), '401 invalid_client'],
  [
    'CERT-05 a seal by its key usage',
    () => ({ keyUsages: KeyUsageFlags.digitalSignature | KeyUsageFlags.nonRepudiation }),
    '401 invalid_client',
  ],
  ['CERT-05 CERT-07 a seal by its type', () => ({ licence: { ...licence, use: 'seal' } }), '401 invalid_client'],
  ['CERT-06 an identifier of the tax office', () => ({ subject: subjectOf(acorn, { identifier: 'VATGB-123456' }) }), '401 invalid_client'],
  [
    'CERT-06 the number of another third party',
    () => ({ subject: subjectOf(acorn, { identifier: other.software.organisation.identifier }) }),
    statementRefused,
  ],
  [
    'CERT-06 the number of another authority',
    () => ({
      subject: subjectOf(acorn, { identifier: acorn.software.organisation.identifier.replace('TEST', 'FCA') }),
      licence: undefined,
    }),
    statementRefused,
  ],
  ['CERT-06 CERT-07 two authorities', () => ({ licence: { ...licence, authorityId: 'GB-FCA' } }), '401 invalid_client'],
  [
    'CERT-06 the directory’s own form with another id',
    () => ({ subject: subjectOf(acorn, { identifier: 'PSDGB-OB-Unknown1', directoryId: other.software.organisation.directoryId }) }),
    statementRefused,
  ],
  ['CERT-06 no organisation at all', () => ({ subject: [{ CN: ['acorn.example'] }] }), '401 invalid_client'],
  [
    'CERT-12 the unit of another organisation',
    () => ({ subject: [{ OU: ['someone'] }, { CN: [acorn.software.softwareId] }], licence: undefined }),
    statementRefused,
  ],
  ['CERT-07 a licence without the role that is asked for', () => ({ licence: { ...licence, roles: ['PSP_AI'] } }), unapproved],
  ['CERT-07 a licence of a bank', () => ({ licence: { ...licence, roles: ['PSP_AS'] } }), unapproved],
]
for (const [what, oddity, expected] of oddities)
  test(`${what}: such a certificate registers nobody`, async () => {
    const credential = await issueOddCertificate(server.authority, { subject: subjectOf(acorn), licence, ...oddity() }, now)
    await assertRefused(acorn.register({ credential }), expected)
  })

test('CERT-05 a server’s certificate is none of a client', async () => {
  await assertRefused(
    acorn.register({ credential: await issueServerCertificate(server.authority, { keyKind: 'ec', now }) }),
    '401 invalid_client',
  )
})

const fitting: readonly (readonly [string, (applicant: Applicant) => Oddity])[] = [
  ['CERT-03 CERT-07 in the register’s words', (applicant) => ({ subject: subjectOf(applicant), licence })],
  ['CERT-03 with an RSA key of 2048 bits', (applicant) => ({ subject: subjectOf(applicant), licence, key: 'rsa2048' })],
  [
    'CERT-06 in the directory’s words',
    (applicant) => ({ subject: subjectOf(applicant, { identifier: 'PSDGB-OB-Unknown1' }), licence: undefined }),
  ],
  [
    'CERT-12 with the organisation as unit',
    ({ software }) => ({ subject: [{ OU: [software.organisation.directoryId] }, { CN: [software.softwareId] }], licence: undefined }),
  ],
]
for (const [how, oddity] of fitting)
  test(`${how}, a certificate that names the organisation of the statement registers its software`, async () => {
    const applicant = await Applicant.enrol(server, directory, 'Fitting')
    const credential = await issueOddCertificate(server.authority, oddity(applicant), now)
    const answer = await applicant.register({ credential })
    assert.equal(answer.status, 201, answer.text)
  })

test('CERT-07 UKDCR-07 who sees accounts only does not ask for payments', async () => {
  await assertRefused(aisp.register(), metadata, /no role for payments/)
  const answer = await aisp.register({ claims: { scope: 'openid accounts' } })
  assert.equal(answer.status, 201, answer.text)
})

test('CERT-08 a role that the register does not have for this country opens nothing', async () => {
  const authorisations = [
    { member_state: 'GB', roles: ['AISP'] },
    { member_state: 'IE', roles: ['AISP', 'PISP'] },
  ]
  const [, , ...number] = acorn.software.organisation.identifier.split('-')
  const software_statement = await directory.statement(acorn.software, {
    claims: {
      organisation_competent_authority_claims: {
        authority_id: 'TESTGBR',
        registration_id: number.join('-'),
        status: 'Active',
        authorisations,
      },
    },
  })
  await assertRefused(acorn.register({ claims: { software_statement } }), metadata, /no role for payments/)
})

test('CERT-14 a request that is signed with a key that was revoked is refused', async () => {
  const careless = await Applicant.enrol(server, directory, 'Careless')
  directory.published.set(`/software/${careless.software.softwareId}/revoked-jwks`, { keys: [await careless.publicKey()] })
  await assertRefused(careless.register(), metadata, /revoked/)
})

test('FAPI2-CR-04 FAPI2-CR-05 keys that are too weak verify nothing, also from the directory', async () => {
  const weak = await Applicant.enrol(server, directory, 'Weak')
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  directory.publishKeys(weak.software, [{ ...(publicKey.export({ format: 'jwk' }) as object), kid: 'first', use: 'sig' } as never])
  const [head, body] = [
    Buffer.from(JSON.stringify({ alg: 'PS256', typ: 'JWT', kid: 'first' })).toString('base64url'),
    Buffer.from(JSON.stringify({ ...(await weak.claims()), jti: randomUUID() })).toString('base64url'),
  ]
  const signature = createSign('sha256')
    .update(`${head}.${body}`)
    .sign({ key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 })
  await assertRefused(weak.send('POST', '/register', `${head}.${body}.${signature.toString('base64url')}`), metadata, /kid/)
})

test('UKDCR-14 DCR-02 every refusal is in the words of the standard', (t) => {
  const codes = new Set(refusals.map((each) => (each as { error: string }).error))
  assert.deepEqual([...codes].sort(), [
    'invalid_client_metadata',
    'invalid_redirect_uri',
    'invalid_software_statement',
    'unapproved_software_statement',
  ])
  if (registrationDefinitionMissing !== undefined) return t.skip(registrationDefinitionMissing)
  for (const each of refusals) assertOfficialRegistration('RegistrationError', each)
})

test('CERT-07 UKDCR-07 who is licensed to confirm funds for cards is told that nobody is served that here, and registers for what it can have', async () => {
  const issuer = await Applicant.enrol(server, directory, 'Card issuer', { roles: ['AISP', 'CBPII'] })
  await assertRefused(issuer.register({ claims: { scope: 'openid fundsconfirmations' } }), metadata, /CBPII.*not served here/)
  await assertRefused(issuer.register({ claims: { scope: 'openid accounts fundsconfirmations' } }), metadata, /CBPII.*not served here/)
  const { status, json } = await issuer.register({ claims: { scope: 'openid accounts' } })
  assert.equal(status, 201)
  const client = await issuer.asClient(json['client_id'])
  const asked = await client.token({ grant_type: 'client_credentials', scope: 'fundsconfirmations' })
  assert.deepEqual([asked.status, asked.json['error']], [400, 'invalid_scope'])
  const document = await exchange(`${server.issuer}/.well-known/openid-configuration`, { ca: server.ca })
  assert.ok(!(document.json['scopes_supported'] as string[]).includes('fundsconfirmations'))
})
