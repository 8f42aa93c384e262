import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { decodeJwt } from 'jose'
import { authoriseAccounts, refusal } from '../testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from '../testing/bank-fixtures.ts'
import { intent } from '../testing/ciba-client.ts'
import { allOf, codeFor, type EveryProfile, registerEveryProfile, tokensFor, withRedirects } from '../testing/every-profile.ts'
import { startTestServer, type TestServer } from '../testing/test-server.ts'
import { intentClaim, ThirdParty } from '../testing/third-party.ts'

/** One kind of JWT in the place of another, one client's in the hands of another, one profile's rules for another. */
let server: TestServer
let ada: TestCustomer
let hybrid: ThirdParty
let signer: ThirdParty
let plain: ThirdParty
let resourceServer: ThirdParty
let every: EveryProfile
/** Everything that this server signed for one client in one flow. */
let made: {
  readonly responseJwt: string
  readonly idToken: string
  readonly accessToken: string
  readonly introspection: string
  readonly frontChannelIdToken: string
}

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
  every = await registerEveryProfile(server)
  const { response: front } = await codeFor(hybrid, ada)
  made = { responseJwt, idToken: String(json['id_token']), accessToken, introspection, frontChannelIdToken: front['id_token'] ?? '' }
})
after(() => server.stop())

const decoded = (jwt: string) => JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
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

test('cut and paste: the code of one profile’s client is not redeemed by a client of another (BCP-11 FAPI1A-04)', async () => {
  for (const thief of [hybrid, plain]) {
    const { response } = await authoriseAccounts(signer, ada)
    const code = String(decoded(response['response'] ?? '')['code'])
    assert.equal(refusal(await thief.redeem(code, { code_verifier: signer.verifier })), '400 invalid_grant')
  }
})

test('audience confusion: an assertion for an endpoint, good for a FAPI 1.0 client, is refused of a FAPI 2.0 client (D2 FAPI2-AS-08 FAPI1A-07)', async () => {
  for (const aud of [`${server.issuer}/token`, `${server.mtlsIssuer}/token`, [server.issuer]]) {
    assert.equal((await hybrid.token({ ...cc, client_assertion: await hybrid.assertion({ aud }) })).status, 200)
    for (const fapi2 of [signer, plain])
      assert.equal(refusal(await fapi2.token({ ...cc, client_assertion: await fapi2.assertion({ aud }) })), '401 invalid_client')
  }
})

test('cut and paste: a refresh token of one profile’s client is refused to every other, and good for its own (BCP-06 FAPI2-AS-14)', async () => {
  for (const client of [...withRedirects(every), every.fapi_ciba]) {
    const { refresh } = await tokensFor(client, ada)
    const own = client instanceof ThirdParty ? client : client.thirdParty
    for (const thief of allOf(every).filter((other) => other !== own)) {
      assert.equal(refusal(await thief.refresh(refresh)), '400 invalid_grant', `${thief.clientId} with that of ${client.clientId}`)
      assert.match(refusal(await thief.refresh(refresh, { client_id: client.clientId })), /^40[01] invalid_(client|request|grant)$/)
    }
    assert.equal((await own.refresh(refresh)).status, 200, client.clientId)
  }
})

test('cut and paste: an access token opens nothing over the certificate of another client, of any profile (MTLS-03 OIDC-07)', async () => {
  for (const client of [...withRedirects(every), every.fapi_ciba]) {
    const { access } = await tokensFor(client, ada)
    const own = client instanceof ThirdParty ? client : client.thirdParty
    for (const thief of allOf(every).filter((other) => other !== own))
      assert.equal((await thief.userinfo(access)).status, 401, `${thief.clientId} with that of ${client.clientId}`)
    assert.equal((await own.userinfo(access)).status, 200, client.clientId)
  }
})

test('cut and paste: an ID token of one client, from either channel, is a hint for no other, of any profile (OIDC-06 CIBA-12)', async () => {
  const tokens = [made.idToken, made.frontChannelIdToken, made.responseJwt]
  for (const client of withRedirects(every))
    for (const id_token_hint of tokens) {
      const answer = await client.push({ claims: intentClaim(await lodgeAccounts(server, client.clientId)), id_token_hint })
      assert.match(refusal(answer), /^400 invalid_request$/, client.clientId)
    }
  for (const id_token_hint of tokens) {
    const answer = await every.fapi_ciba.ask({ id_token_hint, ...intent(await lodgeAccounts(server, every.fapi_ciba.clientId)) })
    assert.equal(refusal(answer), '400 invalid_request')
  }
})

test('cut and paste: a consent that one client lodged is asked for by no other, by claim, by detail or from elsewhere (RW-TOK-06 RAR-01)', async () => {
  const consentId = await lodgeAccounts(server, 'signer')
  const detail = JSON.stringify([{ type: 'openbanking_consent', consent_id: consentId }])
  for (const client of withRedirects(every)) {
    assert.equal(refusal(await client.push({ claims: intentClaim(consentId) })), '400 invalid_request', client.clientId)
    assert.equal(refusal(await client.push({ claims: undefined, authorization_details: detail })), '400 invalid_request', client.clientId)
  }
  assert.equal(refusal(await every.fapi_ciba.ask({ login_hint: ada.username, ...intent(consentId) })), '400 invalid_request')
})

test('cut and paste: a question from elsewhere names one customer, by hint and by claim (CIBA-12 OIDC-06)', async () => {
  const { id_token } = intent(await lodgeAccounts(server, every.fapi_ciba.clientId)).claims
  const named = (value: string) => ({ login_hint: ada.username, claims: { id_token: { ...id_token, sub: { value, essential: true } } } })
  assert.equal(refusal(await every.fapi_ciba.ask(named('psu:somebody-else'))), '400 invalid_request')
  const known = decodeJwt((await tokensFor(every.fapi_ciba, ada)).idToken).sub ?? ''
  assert.equal((await every.fapi_ciba.ask(named(known))).status, 200)
})
