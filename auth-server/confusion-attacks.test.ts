import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { exportJWK, exportSPKI, importJWK } from 'jose'
import { authoriseAccounts, pushed, refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, fragmentOf, responseOf } from './testing/browser.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

/** One kind of JWT in the place of another, one client's in the hands of another, one profile's rules for another. */
let server: TestServer
let ada: TestCustomer
let hybrid: ThirdParty
let signer: ThirdParty
let plain: ThirdParty
let resourceServer: ThirdParty
/** Everything that this server signed for one client in one flow. */
let made: { readonly responseJwt: string; readonly idToken: string; readonly accessToken: string; readonly introspection: string }

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  hybrid = await ThirdParty.register(server, 'hybrid', { profile: 'fapi1_adv_hybrid', constraint: 'mtls' })
  signer = await ThirdParty.register(server, 'signer', { profile: 'fapi2_ms', constraint: 'mtls' })
  plain = await ThirdParty.register(server, 'plain', { constraint: 'mtls' })
  resourceServer = await ThirdParty.register(server, 'uk-api', { profile: 'resource_server', metadata: { audience: server.audiences.uk } })
  const { response } = await authoriseAccounts(signer, ada)
  const responseJwt = response['response'] ?? ''
  const { json } = await signer.redeem(String(decoded(responseJwt)['code']))
  const accessToken = String(json['access_token'])
  const headers = { accept: 'application/token-introspection+jwt' }
  const introspection = (await resourceServer.post('/introspection', { token: accessToken }, { headers })).text
  made = { responseJwt, idToken: String(json['id_token']), accessToken, introspection }
})
after(() => server.stop())

const decoded = (jwt: string) => JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
const claimsOf = async (thirdParty: ThirdParty) => intentClaim(await lodgeAccounts(server, thirdParty.clientId))
const cc = { grant_type: 'client_credentials', scope: 'accounts' }

test('JWT confusion: no other JWT of this server is an access token, at userinfo or for a resource server (AT-01 FAPI2-CR-01)', async () => {
  assert.equal((await signer.userinfo(made.accessToken)).status, 200)
  for (const [name, jwt] of Object.entries({ ...made, accessToken: await signer.requestObject({ sub: 'psu:x' }) })) {
    assert.equal((await signer.userinfo(jwt)).status, 401, name)
    assert.deepEqual((await resourceServer.post('/introspection', { token: jwt })).json, { active: false }, name)
  }
})

test('JWT confusion: no JWT of this server is a request object or a client assertion (JAR-04 FAPI2-CR-01)', async () => {
  for (const [name, jwt] of Object.entries(made)) {
    assert.equal(refusal(await signer.post('/par', { client_id: 'signer', request: jwt })), '400 invalid_request_object', name)
    assert.match(refusal(await signer.token({ ...cc, client_assertion: jwt })), /^40[01] invalid_(client|request)$/, name)
  }
})

test('JWT confusion: a DPoP proof is no request object and no client assertion (JAR-04 FAPI2-CR-01)', async () => {
  const claims = { iss: 'signer', sub: 'signer', aud: server.issuer, exp: Math.floor(Date.now() / 1000) + 60, client_id: 'signer' }
  const proof = await signer.proof(`${server.issuer}/par`, claims, { privateKey: signer.signingKey, publicKey: signer.proofKey.publicKey })
  assert.equal(refusal(await signer.post('/par', { client_id: 'signer', request: proof })), '400 invalid_request_object')
  assert.equal(refusal(await signer.token({ ...cc, client_assertion: proof })), '401 invalid_client')
})

test('algorithm confusion: the public key as an HMAC secret signs no request object (FAPI2-CR-01 JAR-01)', async () => {
  const { d: _private, ...jwk } = await exportJWK(signer.signingKey)
  const pem = await exportSPKI((await importJWK(jwk, 'ES256')) as never)
  for (const secret of [pem, JSON.stringify(jwk), jwk.x ?? '', Buffer.from(jwk.x ?? '', 'base64url')]) {
    const request = await signer.requestObject({ claims: await claimsOf(signer) }, { alg: 'HS256' }, Buffer.from(secret) as never)
    assert.equal(refusal(await signer.post('/par', { client_id: 'signer', request })), '400 invalid_request_object')
  }
})

test('key id tricks: a key id that leads elsewhere, to another client’s key or to none finds no key (FAPI2-CR-07 JAR-01)', async () => {
  for (const kid of [
    '../../../etc/passwd',
    "' or 1=1 --",
    'https://evil.example/jwks#first',
    'second',
    '',
    '__proto__',
    'x'.repeat(4_000),
  ]) {
    const request = await hybrid.requestObject({ claims: await claimsOf(signer), client_id: 'signer', iss: 'signer' }, { kid })
    assert.equal(refusal(await signer.post('/par', { client_id: 'signer', request })), '400 invalid_request_object', kid.slice(0, 30))
  }
})

test('PKCE downgrade: a verifier for a code that was asked for without a challenge is refused (BCP-03 FAPI2-AZ-05)', async () => {
  const withoutPkce = { code_challenge: undefined, code_challenge_method: undefined }
  const request = await hybrid.requestObject({ ...withoutPkce, claims: await claimsOf(hybrid) })
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.signIn(await customer.openWith({ client_id: 'hybrid', request }))
  const { code = '' } = fragmentOf(await customer.agree(page, ada.accounts.slice(0, 1)))
  assert.equal(refusal(await hybrid.redeem(code)), '400 invalid_grant')
})

test('cut and paste: the code of one profile’s client is not redeemed by a client of another (BCP-11 FAPI1A-04)', async () => {
  for (const thief of [hybrid, plain]) {
    const { response } = await authoriseAccounts(signer, ada)
    const code = String(decoded(response['response'] ?? '')['code'])
    assert.equal(refusal(await thief.redeem(code, { code_verifier: signer.verifier })), '400 invalid_grant')
  }
})

test('request confusion: what one client pushed is opened by no other, whatever stands beside it (PAR-06 JAR-02)', async () => {
  const request_uri = await pushed(signer, { claims: await claimsOf(signer) })
  const request = await hybrid.requestObject({ claims: await claimsOf(hybrid) })
  for (const query of [
    { client_id: 'hybrid', request_uri },
    { client_id: 'hybrid', request_uri, request },
    { client_id: 'plain', request_uri, response_mode: 'query' },
    { client_id: 'signer', request },
  ]) {
    const answer = await new CustomerAtBrowser(server, ada).openWith(query as Record<string, string>)
    assert.deepEqual([answer.status, answer.headers['location']], [400, undefined], JSON.stringify(Object.keys(query)))
  }
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.signIn(await customer.open(signer, request_uri))
  assert.ok(responseOf(await customer.agree(page, ada.accounts.slice(0, 1)))['response'])
})

test('audience confusion: an assertion for an endpoint, good for a FAPI 1.0 client, is refused of a FAPI 2.0 client (FAPI2-AS-08 FAPI1A-07)', async () => {
  for (const aud of [`${server.issuer}/token`, `${server.mtlsIssuer}/token`, [server.issuer]]) {
    assert.equal((await hybrid.token({ ...cc, client_assertion: await hybrid.assertion({ aud }) })).status, 200)
    for (const fapi2 of [signer, plain])
      assert.equal(refusal(await fapi2.token({ ...cc, client_assertion: await fapi2.assertion({ aud }) })), '401 invalid_client')
  }
})
