import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setClientStatus } from '@bankside/bank/clients/set-client-status'
import { selfSign } from '@bankside/certs/authority'
import { certificateKey } from '@bankside/certs/brought-certificate'
import { sql, transact } from '@bankside/service-kit/postgres'
import { exportJWK, generateKeyPair, importJWK, SignJWT } from 'jose'
import { refusal } from './testing/authorise.ts'
import { exchange } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { random, ThirdParty } from './testing/third-party.ts'

let server: TestServer
let acorn: ThirdParty
let cobalt: ThirdParty

before(async () => {
  server = await startTestServer()
  acorn = await ThirdParty.register(server, 'acorn')
  cobalt = await ThirdParty.register(server, 'cobalt', { authentication: 'tls_client_auth', constraint: 'mtls' })
})
after(() => server.stop())

const now = () => Math.floor(Date.now() / 1000)
const cc = { grant_type: 'client_credentials', scope: 'accounts' }
const withAssertion = async (claims: Record<string, unknown>, header: Record<string, unknown> = {}) =>
  acorn.token({ ...cc, client_assertion: await acorn.assertion(claims, header) })

test('FAPI2-AS-08 an assertion for the issuer, as a string, is accepted', async () => {
  assert.equal((await withAssertion({})).status, 200)
})

const refusedClaims: readonly (readonly [string, () => Record<string, unknown>])[] = [
  ['FAPI2-AS-08 an aud that is an array', () => ({ aud: [server.issuer] })],
  ['FAPI2-AS-08 an aud with several members', () => ({ aud: [server.issuer, `${server.issuer}/token`] })],
  ['FAPI2-AS-08 an aud of the token endpoint', () => ({ aud: `${server.issuer}/token` })],
  ['FAPI2-AS-08 an aud of the PAR endpoint', () => ({ aud: `${server.issuer}/par` })],
  ['FAPI2-AS-08 an aud with a slash too many', () => ({ aud: `${server.issuer}/` })],
  ['FAPI2-AS-08 an aud of the mTLS twin', () => ({ aud: server.mtlsIssuer })],
  ['FAPI2-AS-13 an iat 65 seconds ahead', () => ({ iat: now() + 65, exp: now() + 120 })],
  ['FAPI2-AS-13 an nbf 65 seconds ahead', () => ({ nbf: now() + 65, exp: now() + 120 })],
  ['FAPI2-CR-01 an exp in the past', () => ({ iat: now() - 400, exp: now() - 300 })],
  ['FAPI2-CR-01 an exp a day ahead', () => ({ exp: now() + 86_400 })],
  ['FAPI2-CR-01 no exp', () => ({ exp: undefined })],
  ['FAPI2-CR-01 no jti', () => ({ jti: undefined })],
  ['FAPI2-CR-01 another iss', () => ({ iss: 'cobalt' })],
  ['FAPI2-CR-01 no iss', () => ({ iss: undefined })],
]
for (const [what, claims] of refusedClaims)
  test(`${what} is refused as invalid_client`, async () => assert.equal(refusal(await withAssertion(claims())), '401 invalid_client'))

test('FAPI2-AS-13 an iat and nbf 8 seconds ahead are accepted', async () => {
  assert.equal((await withAssertion({ iat: now() + 8, nbf: now() + 8, exp: now() + 68 })).status, 200)
})

test('FAPI2-CR-01 a sub that is missing or another client is refused', async () => {
  assert.equal(refusal(await withAssertion({ sub: undefined })), '401 invalid_client')
  assert.equal(refusal(await withAssertion({ sub: 'cobalt' })), '401 invalid_client')
})

const refusedHeaders: readonly (readonly [string, Record<string, unknown>])[] = [
  ['FAPI2-CR-01 the typ of an access token', { typ: 'at+jwt' }],
  ['FAPI2-CR-01 the typ of a DPoP proof', { typ: 'dpop+jwt' }],
]
for (const [what, header] of refusedHeaders)
  test(`${what} is refused as invalid_client`, async () => assert.equal(refusal(await withAssertion({}, header)), '401 invalid_client'))

async function forged(header: Record<string, unknown>, key: Parameters<SignJWT['sign']>[0], payload: Record<string, unknown> = {}) {
  const claims = { iss: 'acorn', sub: 'acorn', aud: server.issuer, jti: random(), iat: now(), exp: now() + 60, ...payload }
  const client_assertion = await new SignJWT(claims).setProtectedHeader(header as { alg: string }).sign(key)
  return refusal(await acorn.token({ ...cc, client_assertion }))
}

test('FAPI2-CR-01 FAPI2-CR-02 an assertion by another key, by HMAC with the public key, or by RS256 is refused', async () => {
  const [other, rsa] = [await generateKeyPair('ES256'), await generateKeyPair('RS256')]
  assert.equal(await forged({ alg: 'ES256', kid: 'first' }, other.privateKey), '401 invalid_client')
  assert.equal(await forged({ alg: 'RS256', kid: 'first' }, rsa.privateKey), '401 invalid_client')
  assert.equal(
    await forged({ alg: 'HS256', kid: 'first' }, Buffer.from(JSON.stringify(await exportJWK(other.publicKey)))),
    '401 invalid_client',
  )
})

test('FAPI2-CR-03 an unsigned assertion is refused', async () => {
  const part = (json: object) => Buffer.from(JSON.stringify(json)).toString('base64url')
  const client_assertion = `${part({ alg: 'none' })}.${part({ iss: 'acorn', sub: 'acorn', aud: server.issuer, jti: random(), exp: now() + 60 })}.`
  assert.equal(refusal(await acorn.token({ ...cc, client_assertion })), '401 invalid_client')
})

test('FAPI2-CR-01 an unknown critical header is refused', async () => {
  const header = Buffer.from(JSON.stringify({ alg: 'ES256', kid: 'first', crit: ['x'], x: 1 })).toString('base64url')
  const [, payload, signature] = (await acorn.assertion()).split('.')
  assert.equal(refusal(await acorn.token({ ...cc, client_assertion: `${header}.${payload}.${signature}` })), '401 invalid_client')
})

test('FAPI2-CR-07 keys named in the header are neither used nor fetched', async () => {
  const attacker = await generateKeyPair('ES256', { extractable: true })
  let asked = 0
  const original = globalThis.fetch
  globalThis.fetch = async () => {
    asked += 1
    throw new Error('nobody is to be asked')
  }
  try {
    for (const header of [
      { jku: 'https://evil.example/jwks' },
      { x5u: 'https://evil.example/cert' },
      { jwk: await exportJWK(attacker.publicKey) },
    ])
      assert.equal(await forged({ alg: 'ES256', ...header }, attacker.privateKey), '401 invalid_client')
    assert.equal((await withAssertion({}, { jku: 'https://evil.example/jwks' })).status, 200)
  } finally {
    globalThis.fetch = original
  }
  assert.equal(asked, 0)
})

test('FAPI2-CR-08 of two registered keys with one kid the right one is found', async () => {
  const [one, two] = [await generateKeyPair('ES256', { extractable: true }), await generateKeyPair('ES256', { extractable: true })]
  const keys = await Promise.all(
    [one, two].map(async ({ publicKey }) => ({ ...(await exportJWK(publicKey)), kid: 'same', use: 'sig', alg: 'ES256' })),
  )
  const twin = await ThirdParty.register(server, 'twin', { metadata: { jwks: { keys } } })
  for (const { privateKey } of [one, two]) {
    const claims = { iss: 'twin', sub: 'twin', aud: server.issuer, jti: random(), iat: now(), exp: now() + 60 }
    const client_assertion = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'same' }).sign(privateKey)
    assert.equal((await twin.token({ ...cc, client_assertion })).status, 200)
  }
})

test('FAPI2-CR-02 a client that named no algorithm signs with any of its keys, and still not with RS256', async () => {
  const rsa = await generateKeyPair('PS256', { extractable: true })
  const [elliptic, asRs256] = [
    await generateKeyPair('ES256', { extractable: true }),
    await importJWK(await exportJWK(rsa.privateKey), 'RS256'),
  ]
  const keys = [
    { ...(await exportJWK(elliptic.publicKey)), kid: 'elliptic', use: 'sig' },
    { ...(await exportJWK(rsa.publicKey)), kid: 'rsa', use: 'sig' },
  ]
  const either = await ThirdParty.register(server, 'either', { metadata: { token_endpoint_auth_signing_alg: undefined, jwks: { keys } } })
  const signed = async (alg: string, kid: string, key: Parameters<SignJWT['sign']>[0]) => {
    const claims = { iss: 'either', sub: 'either', aud: server.issuer, jti: random(), iat: now(), exp: now() + 60 }
    return (await either.token({ ...cc, client_assertion: await new SignJWT(claims).setProtectedHeader({ alg, kid }).sign(key) })).status
  }
  assert.equal(await signed('ES256', 'elliptic', elliptic.privateKey), 200)
  assert.equal(await signed('PS256', 'rsa', rsa.privateKey), 200)
  assert.equal(await signed('RS256', 'rsa', asRs256), 401)
})

test('FAPI2-CR-02 a key for EdDSA signs as Ed25519 too, and the other way round: one algorithm has two names', async () => {
  const pair = await generateKeyPair('Ed25519', { extractable: true })
  for (const registered of ['EdDSA', 'Ed25519'])
    for (const alg of ['EdDSA', 'Ed25519']) {
      const id = `named-${registered}-${alg}`
      const keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'first', use: 'sig', alg: registered }]
      const client = await ThirdParty.register(server, id, { metadata: { token_endpoint_auth_signing_alg: undefined, jwks: { keys } } })
      const claims = { iss: id, sub: id, aud: server.issuer, jti: random(), iat: now(), exp: now() + 60 }
      const client_assertion = await new SignJWT(claims).setProtectedHeader({ alg, kid: 'first' }).sign(pair.privateKey)
      assert.equal((await client.token({ ...cc, client_assertion })).status, 200, id)
    }
})

test('FAPI2-AS-03 FAPI2-AS-06 FAPI2-AZ-04 no authentication, a secret or another way than registered is refused', async () => {
  const bare = (form: Record<string, string>, headers: Record<string, string> = {}, path = '/token') =>
    exchange(server.issuer + path, { ca: server.ca, form, headers })
  assert.equal(refusal(await bare({ ...cc, client_id: 'acorn' })), '401 invalid_client')
  assert.equal(refusal(await bare({ ...acorn.request() }, {}, '/par')), '401 invalid_client')
  const basic = { authorization: `Basic ${Buffer.from('acorn:secret').toString('base64')}` }
  assert.equal(refusal(await bare(cc, basic)), '401 invalid_client')
  assert.equal(refusal(await bare({ ...cc, client_id: 'nobody' })), '401 invalid_client')
  const assertion = {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await acorn.assertion(),
  }
  assert.equal(refusal(await bare({ ...cc, ...assertion, client_id: 'cobalt' })), '401 invalid_client')
})

test('FAPI2-AS-02 BCP-07 the password grant is refused', async () => {
  assert.equal(refusal(await acorn.token({ grant_type: 'password', username: 'ada', password: 'x' })), '400 unsupported_grant_type')
})

test('MTLS-01 a certificate with the registered subject authenticates', async () => {
  assert.equal((await cobalt.token(cc)).status, 200)
})

test('MTLS-01 MTLS-07 no certificate, another subject, or one of an authority that nobody trusts is refused', async () => {
  const credentials = [await server.issueCertificate('other'), await server.issueCertificate('cobalt', { untrusted: true })]
  for (const credential of credentials) assert.equal(refusal(await cobalt.token(cc, { credential })), '401 invalid_client')
  const none = await exchange(`${server.mtlsIssuer}/token`, { ca: server.ca, form: { ...cc, client_id: 'cobalt' } })
  assert.equal(refusal(none), '401 invalid_client')
})

for (const [profile, constraint] of [
  ['fapi2_sp', 'dpop'],
  ['fapi2_ms', 'mtls'],
  ['fapi1_adv_hybrid', 'mtls'],
] as const)
  test(`MTLS-02 FAPI1A-07 a ${profile} client that registered its own certificate authenticates with it and with no other`, async () => {
    const authentication = 'self_signed_tls_client_auth'
    const own = await ThirdParty.register(server, `own-${profile}`, { profile, authentication, constraint })
    const answer = await own.token(cc)
    assert.equal(answer.status, 200, answer.text)
    const now = new Date()
    const others = [
      await selfSign({ commonName: `own-${profile}`, now }),
      await server.issueCertificate(`own-${profile}`),
      await server.issueCertificate(`own-${profile}`, { untrusted: true }),
    ]
    for (const credential of others) assert.equal(refusal(await own.token(cc, { credential })), '401 invalid_client')
    const none = await exchange(`${server.mtlsIssuer}/token`, { ca: server.ca, form: { ...cc, client_id: `own-${profile}` } })
    assert.equal(refusal(none), '401 invalid_client')
  })

test('MTLS-02 a certificate of its own that ran out is none, though it was registered', async () => {
  const past = new Date(Date.now() - 400 * 86_400_000)
  const credential = await selfSign({ commonName: 'late', now: past })
  const metadata = { jwks: { keys: [await certificateKey(new X509Certificate(credential.cert))] } }
  const late = await ThirdParty.register(server, 'late', { authentication: 'self_signed_tls_client_auth', metadata })
  assert.equal(refusal(await late.token(cc, { credential })), '401 invalid_client')
})

test('MTLS-03 MTLS-07 no token is bound to a certificate that nobody vouches for and nobody registered', async () => {
  const bound = await ThirdParty.register(server, 'bound', { constraint: 'mtls' })
  const certificates = [
    await server.issueCertificate('bound', { untrusted: true }),
    await selfSign({ commonName: 'bound', now: new Date() }),
  ]
  for (const credential of certificates) assert.equal(refusal(await bound.token(cc, { credential })), '400 invalid_request')
  assert.equal((await bound.token(cc)).status, 200)
})

test('MTLS-05 a certificate in a header from just anybody is ignored', async () => {
  const der = cobalt.credential.cert.replace(/-----[^-]+-----|\s/g, '')
  const headers = { 'client-cert': `:${der}:`, 'x-client-cert': encodeURIComponent(cobalt.credential.cert) }
  const answer = await exchange(`${server.issuer}/token`, { ca: server.ca, form: { ...cc, client_id: 'cobalt' }, headers })
  assert.equal(refusal(answer), '401 invalid_client')
})

test('FAPI2-NET-07 MTLS-04 the issuer itself sees no certificate', async () => {
  const answer = await exchange(`${server.issuer}/token`, {
    ca: server.ca,
    credential: cobalt.credential,
    form: { ...cc, client_id: 'cobalt' },
  })
  assert.equal(refusal(answer), '401 invalid_client')
})

test('CON-12 a client that is blocked is refused at its very next call, and served again when it is let in', async () => {
  const change = (status: 'blocked' | 'active') =>
    transact(server.owner, (tx) => setClientStatus(tx, { clientId: 'acorn', status, actor: 'test', now: new Date() }))
  await change('blocked')
  assert.equal(refusal(await acorn.token(cc)), '401 invalid_client')
  assert.equal(refusal(await acorn.push({})), '401 invalid_client')
  await change('active')
  assert.equal((await acorn.token(cc)).status, 200)
})

test('FAPI2-AS-04 FAPI2-CR-04 a client that got past registration with metadata against the policy is not served', async () => {
  for (const [id, metadata] of [
    ['loose-constraint', { dpop_bound_access_tokens: false }],
    ['loose-requests', { require_pushed_authorization_requests: false }],
    ['loose-redirect', { redirect_uris: ['http://third-party.example/'] }],
  ] as const) {
    const loose = await ThirdParty.register(server, id, { metadata })
    assert.equal(refusal(await loose.token(cc)), '401 invalid_client', id)
  }
  assert.ok(server.logged.some((line) => line.includes('breaks the policy') && line.includes('loose-constraint')))
})

test('FAPI2-MS-01 FAPI1A-01 FAPI1A-02 FAPI1A-03 FAPI1A-12 a row with a mix of two profiles is not served, whichever way it came about', async () => {
  const kinds = [
    ['mix-unsigned', 'fapi2_ms', 'dpop', { require_signed_request_object: false }],
    ['mix-query', 'fapi1_adv_jarm', 'mtls', { response_modes: ['query'] }],
    ['mix-proof', 'fapi1_adv_hybrid', 'dpop', {}],
    ['mix-flows', 'fapi1_adv_hybrid', 'mtls', { response_types: ['code', 'code id_token'] }],
    ['mix-eddsa', 'fapi1_adv_jarm', 'mtls', { id_token_signed_response_alg: 'EdDSA' }],
  ] as const
  for (const [id, profile, constraint, metadata] of kinds) {
    const mixed = await ThirdParty.register(server, id, { profile, constraint, metadata })
    assert.equal(refusal(await mixed.token(cc)), '401 invalid_client', id)
    assert.equal(refusal(await mixed.push({})), '401 invalid_client', id)
  }
  const moved = await ThirdParty.register(server, 'mix-moved', { profile: 'fapi2_ms' })
  assert.equal((await moved.token(cc)).status, 200)
  for (const profile of ['fapi2_sp', 'fapi1_adv_jarm', 'resource_server', 'fapi_ciba']) {
    await server.owner.query(sql.unsafe`update clients.client set profile = ${profile} where client_id = 'mix-moved'`)
    assert.equal(refusal(await moved.token(cc)), '401 invalid_client', profile)
  }
  await assert.rejects(server.owner.query(sql.unsafe`update clients.client set profile = 'none' where client_id = 'mix-moved'`))
})

test('FAPI2-AS-15 ids of clients and subjects do not meet: a client cannot be named like a customer', async () => {
  const insert = server.owner.query(sql.unsafe`
    insert into clients.client (client_id, profile, name, first_party, metadata, status, created_at, updated_at)
    values ('cus_0000', 'fapi2_sp', 'x', false, '{}'::jsonb, 'active', now(), now())`)
  await assert.rejects(insert)
})
