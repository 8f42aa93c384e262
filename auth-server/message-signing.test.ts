import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, z } from '@bankside/service-kit/postgres'
import {
  createRemoteJWKSet,
  customFetch,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWTPayload,
  jwtVerify,
  UnsecuredJWT,
} from 'jose'
import { authoriseAccounts, pushed, refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './testing/browser.ts'
import { exchange } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

let server: TestServer
let ada: TestCustomer
let signer: ThirdParty
let other: ThirdParty
let unsigned: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  signer = await ThirdParty.register(server, 'signer', { profile: 'fapi2_ms' })
  other = await ThirdParty.register(server, 'other', { profile: 'fapi2_ms', metadata: { authorization_signed_response_alg: 'ES256' } })
  unsigned = await ThirdParty.register(server, 'unsigned')
})
after(() => server.stop())

const now = () => Math.floor(Date.now() / 1000)
const claimsOf = async (thirdParty: ThirdParty) => intentClaim(await lodgeAccounts(server, thirdParty.clientId))
const pushObject = async (request: string, form: Record<string, string | undefined> = {}, thirdParty = signer) =>
  thirdParty.post('/par', { client_id: thirdParty.clientId, request, ...form })
const pushClaims = async (claims: Record<string, unknown>, header: Record<string, unknown> = {}) =>
  pushObject(await signer.requestObject({ claims: await claimsOf(signer), ...claims }, header))

const accepted: readonly (readonly [string, () => Record<string, unknown>, Record<string, unknown>?])[] = [
  ['FAPI2-MS-01 FAPI2-MS-05 JAR-01 JAR-04 with its typ', () => ({})],
  ['FAPI2-MS-05 without typ', () => ({}), { typ: undefined }],
  ['FAPI2-MS-05 with a typ in other letter case', () => ({}), { typ: 'OAuth-AuthZ-Req+JWT' }],
  ['FAPI2-MS-02 for several audiences', () => ({ aud: [server.issuer, 'https://other.example'] })],
  ['FAPI2-MS-03 FAPI2-AS-13 with an nbf 8 seconds ahead', () => ({ nbf: now() + 8 })],
  ['FAPI2-MS-03 with an nbf 59 minutes ago', () => ({ nbf: now() - 59 * 60, exp: now() + 30 })],
  ['FAPI2-MS-04 with an exp 60 minutes after nbf', () => ({ nbf: now(), exp: now() + 3_600 })],
  ['FAPI2-MS-06 with an iat and a jti', () => ({ iat: now(), jti: 'x' })],
]
for (const [what, claims, header] of accepted)
  test(`${what} a request object is accepted`, async () => {
    const answer = await pushClaims(claims(), header)
    assert.equal(answer.status, 201, answer.text)
  })

const refused: readonly (readonly [string, () => Record<string, unknown>, Record<string, unknown>?])[] = [
  ['FAPI2-MS-02 JAR-01 another aud', () => ({ aud: 'https://other.example' })],
  ['FAPI2-MS-02 the PAR endpoint as aud', () => ({ aud: `${server.issuer}/par` })],
  ['FAPI2-MS-02 no aud', () => ({ aud: undefined })],
  ['FAPI2-MS-03 no nbf', () => ({ nbf: undefined })],
  ['FAPI2-MS-03 an nbf 61 minutes ago', () => ({ nbf: now() - 3_661, exp: now() + 30 })],
  ['FAPI2-MS-03 FAPI2-AS-13 an nbf 65 seconds ahead', () => ({ nbf: now() + 65 })],
  ['FAPI2-AS-13 an iat 65 seconds ahead', () => ({ iat: now() + 65 })],
  ['FAPI2-MS-03 an nbf that is text', () => ({ nbf: String(now()) })],
  ['FAPI2-MS-04 no exp', () => ({ exp: undefined })],
  ['FAPI2-MS-04 an exp in the past', () => ({ nbf: now() - 600, exp: now() - 60 })],
  ['FAPI2-MS-04 an exp 61 minutes after nbf', () => ({ nbf: now(), exp: now() + 3_661 })],
  ['FAPI2-MS-04 an exp before nbf', () => ({ nbf: now() + 5, exp: now() + 4 })],
  ['FAPI2-MS-05 JAR-04 FAPI2-CR-01 the typ of an access token', () => ({}), { typ: 'at+jwt' }],
  ['FAPI2-MS-05 JAR-04 the typ of a DPoP proof', () => ({}), { typ: 'dpop+jwt' }],
  ['FAPI2-MS-05 JAR-04 the typ of a client assertion', () => ({}), { typ: 'client-authentication+jwt' }],
  ['JAR-01 another iss', () => ({ iss: 'other' })],
  ['JAR-01 no iss', () => ({ iss: undefined })],
  ['JAR-01 PAR-07 another client_id', () => ({ client_id: 'other' })],
  ['JAR-01 PAR-07 no client_id', () => ({ client_id: undefined })],
  ['JAR-02 a request inside', () => ({ request: 'eyJhbGciOiJub25lIn0.e30.' })],
  ['JAR-02 PAR-02 a request_uri inside', () => ({ request_uri: 'urn:ietf:params:oauth:request_uri:x' })],
  ['JAR-02 JAR-04 a request_uri of elsewhere inside', () => ({ request_uri: 'https://internal.example/' })],
  ['JAR-04 the client as sub', () => ({ sub: 'signer' })],
  ['JAR-04 no response_type', () => ({ response_type: undefined })],
]
for (const [what, claims, header] of refused)
  test(`${what}: the request object is refused`, async () =>
    assert.equal(refusal(await pushClaims(claims(), header)), '400 invalid_request_object'))

test('JAR-01 FAPI2-MS-01 FAPI2-CR-02 FAPI2-CR-03 a request object by another key, RS256, none, HS256 or with a broken signature is refused', async () => {
  const [stranger, rsa] = [await generateKeyPair('ES256'), await generateKeyPair('RS256')]
  const claims = { claims: await claimsOf(signer) }
  const [header, payload] = (await signer.requestObject(claims)).split('.')
  const forged = [
    await signer.requestObject(claims, {}, stranger.privateKey),
    await signer.requestObject(claims, { kid: 'first' }, other.signingKey),
    await signer.requestObject(claims, { alg: 'RS256' }, rsa.privateKey),
    await signer.requestObject(claims, { alg: 'HS256' }, Buffer.alloc(32) as never),
    `${header}.${payload}.${Buffer.alloc(64, 1).toString('base64url')}`,
    `${header}.${payload}.`,
    new UnsecuredJWT({ ...signer.request(), iss: 'signer', aud: server.issuer, nbf: now(), exp: now() + 60 }).encode(),
    'x.y.z',
    'nothing',
  ]
  for (const request of forged) assert.equal(refusal(await pushObject(request)), '400 invalid_request_object')
})

test('FAPI2-CR-01 JAR-04 FAPI2-CR-07 keys named in the header of a request object are not used, an unknown critical header is refused', async () => {
  const stranger = await generateKeyPair('ES256')
  for (const header of [{ jku: 'https://evil.example/jwks' }, { jwk: { kty: 'EC' } }])
    assert.equal(
      refusal(await pushObject(await signer.requestObject({}, { ...header, kid: undefined }, stranger.privateKey))),
      '400 invalid_request_object',
    )
  const [, payload, signature] = (await signer.requestObject()).split('.')
  const critical = Buffer.from(JSON.stringify({ alg: 'ES256', kid: 'first', crit: ['x'], x: 1 })).toString('base64url')
  assert.equal(refusal(await pushObject(`${critical}.${payload}.${signature}`)), '400 invalid_request_object')
})

test('JAR-01 PAR-07 a request object of one client is not pushed by another', async () => {
  const request = await signer.requestObject({ claims: await claimsOf(signer) })
  assert.equal(refusal(await pushObject(request, {}, other)), '400 invalid_request_object')
  assert.equal(refusal(await pushObject(request, { client_id: 'other' })), '401 invalid_client')
})

test('JAR-04 FAPI2-CR-01 a client assertion is no request, and a request no client assertion', async () => {
  assert.equal(refusal(await pushObject(await signer.assertion())), '400 invalid_request_object')
  const client_assertion = await signer.requestObject({ sub: 'signer', jti: 'once' })
  assert.equal(refusal(await signer.token({ grant_type: 'client_credentials', scope: 'accounts', client_assertion })), '401 invalid_client')
})

test('FAPI2-MS-01 parameters that are pushed unsigned are refused', async () => {
  const claims = await claimsOf(signer)
  assert.equal(refusal(await signer.post('/par', { ...signer.request(), claims })), '400 invalid_request')
})

test('JAR-03 a client that registered no signed requests is told that they are not supported', async () => {
  const request = await unsigned.requestObject({ claims: await claimsOf(unsigned) })
  assert.equal(refusal(await pushObject(request, {}, unsigned)), '400 request_not_supported')
})

test('FAPI2-MS-06 PAR-07 what is pushed beside the request object is not used', async () => {
  const request = await signer.requestObject({ claims: await claimsOf(signer), state: 'inside', nonce: 'inside' })
  const outside = {
    state: 'outside',
    nonce: 'outside',
    redirect_uri: 'https://evil.example/',
    scope: 'openid payments',
    response_mode: 'query',
  }
  const answer = await pushObject(request, outside)
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.signIn(await customer.open(signer, String(answer.json['request_uri'])))
  const { response = '' } = responseOf(await customer.agree(page, ada.accounts.slice(0, 1)))
  const { state, code } = await verified(response, 'signer')
  assert.equal(state, 'inside')
  const tokens = await signer.redeem(String(code))
  assert.equal(tokens.status, 200)
  assert.equal(decoded(String(tokens.json['id_token']))['nonce'], 'inside')
})

for (const [name, missing] of [
  ['redirect_uri', '400 invalid_request'],
  ['scope', '400 invalid_request'],
  ['code_challenge', '400 invalid_request'],
] as const)
  test(`FAPI2-MS-06 ${name} beside the request object, not in it, is missing`, async () => {
    const request = await signer.requestObject({ claims: await claimsOf(signer), [name]: undefined })
    assert.equal(refusal(await pushObject(request, { [name]: signer.request()[name] })), missing)
  })

const modes: readonly (readonly [string, string | undefined])[] = [
  ['FAPI2-MS-08 no response_mode', undefined],
  ['FAPI2-MS-08 response_mode query', 'query'],
  ['FAPI2-MS-08 response_mode fragment', 'fragment'],
  ['JARM-03 response_mode form_post.jwt', 'form_post.jwt'],
  ['JARM-03 response_mode fragment.jwt', 'fragment.jwt'],
]
for (const [what, response_mode] of modes)
  test(`${what} is refused when responses are to be signed`, async () =>
    assert.equal(refusal(await pushClaims({ response_mode })), '400 invalid_request'))

test('FAPI2-MS-08 a signed response is not to be had by a client that registered none', async () => {
  const claims = await claimsOf(unsigned)
  for (const response_mode of ['jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt'])
    assert.equal(refusal(await unsigned.push({ claims, response_mode })), '400 invalid_request', response_mode)
})

test('FAPI2-MS-07 a client that registered one response mode gets no other', async () => {
  const one = await ThirdParty.register(server, 'one-mode', { profile: 'fapi2_ms', metadata: { response_modes: ['query.jwt'] } })
  const claims = await claimsOf(one)
  assert.equal(refusal(await one.push({ claims })), '400 invalid_request')
  assert.equal((await one.push({ claims, response_mode: 'query.jwt' })).status, 201)
})

/** As a client must: signature, then issuer, audience and expiry. */
async function verified(response: string, audience: string): Promise<JWTPayload> {
  const keys = createRemoteJWKSet(new URL(`${server.issuer}/jwks`), {
    [customFetch]: async (url: string) => {
      const { text, status } = await exchange(url, { ca: server.ca })
      return new Response(text, { status })
    },
  } as never)
  return (await jwtVerify(response, keys, { issuer: server.issuer, audience, algorithms: ['PS256', 'ES256', 'EdDSA'] })).payload
}

const decoded = (jwt: string) => JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>

test('FAPI2-MS-08 FAPI2-MS-12 JARM-01 JARM-02 FAPI2-MS-14 the response is one signed JWT: PS256 unless registered otherwise, with iss inside only', async () => {
  for (const [thirdParty, algorithm] of [
    [signer, 'PS256'],
    [other, 'ES256'],
  ] as const) {
    const { response } = await authoriseAccounts(thirdParty, ada, { state: 'the state' })
    assert.deepEqual(Object.keys(response).sort(), ['kept', 'response'])
    const jwt = response['response'] ?? ''
    assert.equal(decodeProtectedHeader(jwt).alg, algorithm)
    assert.ok(decodeProtectedHeader(jwt).kid)
    const payload = await verified(jwt, thirdParty.clientId)
    assert.deepEqual(Object.keys(payload).sort(), ['aud', 'code', 'exp', 'iss', 'state'])
    assert.equal(payload['state'], 'the state')
    assert.ok(Number(payload.exp) - now() > 10 && Number(payload.exp) - now() <= 600)
    assert.equal((await thirdParty.redeem(String(payload['code']))).status, 200)
  }
})

test('JARM-01 ISS-01 an error is a signed JWT too, and so is a no', async () => {
  const customer = new CustomerAtBrowser(server, ada)
  const asked = await customer.open(signer, await pushed(signer, { claims: await claimsOf(signer), prompt: 'none', state: 's' }))
  const failed = responseOf(asked)
  assert.deepEqual(Object.keys(failed).sort(), ['kept', 'response'])
  const { error, state, iss } = await verified(failed['response'] ?? '', 'signer')
  assert.deepEqual([error, state, iss], ['login_required', 's', server.issuer])

  const page = await customer.open(signer, await pushed(signer, { claims: await claimsOf(signer), state: undefined }))
  const refusedByCustomer = responseOf(await customer.submit(page, { action: 'cancel' }))
  const payload = await verified(refusedByCustomer['response'] ?? '', 'signer')
  assert.equal(payload['error'], 'access_denied')
  assert.ok(!('state' in payload))
})

test('FAPI2-MS-15 a signed request is read by one process only, kept no longer than a journey takes, of no use when altered, and not logged', async () => {
  const request = await signer.requestObject({ claims: await claimsOf(signer), login_hint: 'ada@example.com' })
  const requestUri = String((await pushObject(request)).json['request_uri'])
  const rights = await server.owner.one(sql.type(z.object({ others: z.boolean(), late: z.boolean() }))`
    select
      has_column_privilege('bankside_resource_api', 'oidc.pushed_authorization_request', 'payload', 'select')
        or has_column_privilege('bankside_worker', 'oidc.pushed_authorization_request', 'payload', 'select') as others,
      (select max(expires_at) > now() + interval '62 minutes' from oidc.pushed_authorization_request) as late`)
  assert.deepEqual(rights, { others: false, late: false })
  await server.owner.query(sql.unsafe`
    update oidc.pushed_authorization_request set payload = replace(payload, 'dpopJkt', 'dpopjkt') || ' '`)
  assert.equal((await new CustomerAtBrowser(server, ada).open(signer, requestUri)).status, 400)
  const [, payload = ''] = request.split('.')
  assert.ok(!server.logged.some((line) => line.includes(payload.slice(0, 60)) || line.includes('ada@example')))
})

test('JARM-04 FAPI2-MS-09 FAPI2-MS-11 what a client or anyone altered, or another client was sent, does not verify', async () => {
  const { response } = await authoriseAccounts(signer, ada)
  const jwt = response['response'] ?? ''
  const [header, payload, signature] = jwt.split('.')
  const altered = Buffer.from(JSON.stringify({ ...decoded(jwt), code: 'other' })).toString('base64url')
  await assert.rejects(verified(`${header}.${altered}.${signature}`, 'signer'))
  await assert.rejects(verified(jwt, 'other'))
  await assert.rejects(verified(`${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`, 'signer'))
})

test('FAPI2-CR-02 request objects signed with PS256 and Ed25519 are accepted of who registered such a key, RS256 with the same key is not', async () => {
  for (const algorithm of ['PS256', 'EdDSA'] as const) {
    const thirdParty = await ThirdParty.register(server, `alg-${algorithm}`, { profile: 'fapi2_ms', algorithm })
    assert.equal((await thirdParty.push({ claims: await claimsOf(thirdParty) })).status, 201, algorithm)
  }
  const rsa = await generateKeyPair('PS256', { extractable: true })
  const jwk = { ...(await exportJWK(rsa.publicKey)), kid: 'first', use: 'sig' }
  const metadata = { jwks: { keys: [jwk] } }
  const either = await ThirdParty.register(server, 'rsa-key', { profile: 'fapi2_ms', authentication: 'tls_client_auth', metadata })
  const request = async (alg: string) => {
    const key = await importJWK(await exportJWK(rsa.privateKey), alg)
    return pushObject(await either.requestObject({ claims: await claimsOf(either) }, { alg }, key as never), {}, either)
  }
  assert.equal((await request('PS256')).status, 201)
  assert.equal(refusal(await request('RS256')), '400 invalid_request_object')
})
