import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setClientStatus } from '@bankside/bank/clients/set-client-status'
import { transact } from '@bankside/service-kit/postgres'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { authoriseAccounts, authorisedTokens, pushed } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './testing/browser.ts'
import { exchange } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

let server: TestServer
let ada: TestCustomer
let acorn: ThirdParty
let cobalt: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
  cobalt = await ThirdParty.register(server, 'cobalt', { constraint: 'mtls' })
})
after(() => server.stop())

const tokensOf = async (thirdParty: ThirdParty) => {
  const { tokens } = await authorisedTokens(thirdParty, ada)
  return {
    access: String(tokens.json['access_token']),
    id: decodeJwt(String(tokens.json['id_token'])),
    refresh: String(tokens.json['refresh_token']),
  }
}

test('OIDC-07 OIDC-08 OIDC-04 userinfo names the customer as the ID token does, to the holder of the token, and does not repeat what was asked of the ID token', async () => {
  for (const thirdParty of [acorn, cobalt]) {
    const { access, id } = await tokensOf(thirdParty)
    const { status, json, headers } = await thirdParty.userinfo(access)
    assert.deepEqual([status, json], [200, { sub: id.sub }])
    assert.match(headers['content-type'] ?? '', /^application\/json/)
    assert.match(headers['cache-control'] ?? '', /no-store/)
  }
})

test('OIDC-07 userinfo may be asked for by POST', async () => {
  const { access } = await tokensOf(acorn)
  const form = { method: 'POST', form: {} }
  const headers = { authorization: `DPoP ${access}`, dpop: await proofFor(access, 'POST') }
  assert.equal((await acorn.userinfo(access, { ...form, headers })).status, 200)
})

const proofFor = async (access: string, htm: string) => {
  const ath = Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(access))).toString('base64url')
  return acorn.proof(`${server.issuer}/userinfo`, { htm, ath })
}

test('OIDC-07 OIDC-04 the claims parameter asks for claims of userinfo, and only those that are there come', async () => {
  const asked = { openbanking_intent_id: null, name: { essential: true }, email: null, acr: {} }
  const consentId = await lodgeAccounts(server, 'acorn')
  const claims = JSON.stringify({ ...JSON.parse(intentClaim(consentId)), userinfo: asked, elsewhere: { x: null } })
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.signIn(await customer.open(acorn, await pushed(acorn, { claims })))
  const { code = '' } = responseOf(await customer.agree(page, ada.accounts.slice(0, 1)))
  const { json } = await acorn.redeem(code)
  const userinfo = await acorn.userinfo(String(json['access_token']))
  assert.deepEqual(userinfo.json, { sub: decodeJwt(String(json['id_token'])).sub, openbanking_intent_id: consentId })
})

test('OIDC-03 a member of userinfo that is neither null nor an object is refused', async () => {
  const claims = JSON.stringify({ ...JSON.parse(intentClaim(await lodgeAccounts(server, 'acorn'))), userinfo: { name: 'yes' } })
  assert.equal((await acorn.push({ claims })).json['error'], 'invalid_request')
})

test('OIDC-07 FAPI2-CR-02 userinfo is a JWT for who registered an algorithm, and is made out to it', async () => {
  for (const alg of ['ES256', 'PS256', 'EdDSA']) {
    const metadata = { userinfo_signed_response_alg: alg, id_token_signed_response_alg: alg }
    const thirdParty = await ThirdParty.register(server, `signed-${alg}`, { metadata })
    const { tokens } = await authorisedTokens(thirdParty, ada)
    const answer = await thirdParty.userinfo(String(tokens.json['access_token']))
    assert.match(answer.headers['content-type'] ?? '', /^application\/jwt/)
    assert.equal(decodeProtectedHeader(answer.text).alg, alg)
    assert.equal(decodeProtectedHeader(String(tokens.json['id_token'])).alg, alg)
    const { sub, iss, aud } = decodeJwt(answer.text)
    assert.deepEqual([sub, iss, aud], [decodeJwt(String(tokens.json['id_token'])).sub, server.issuer, thirdParty.clientId])
  }
})

test('OIDC-07 an app of the bank is told the name that its scope is for', async () => {
  const app = await ThirdParty.register(server, 'bank-app', { firstParty: true })
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.open(app, await pushed(app, { scope: 'openid profile accounts:read', claims: undefined }))
  const { code = '' } = responseOf(await customer.signIn(page))
  const { json } = await app.redeem(code)
  assert.deepEqual((await app.userinfo(String(json['access_token']))).json, { sub: ada.customerId, name: 'Full ada' })
})

test('OIDC-07 DPOP-06 FAPI2-RS-05 without the proof, with another, or as Bearer the token is refused', async () => {
  const { access } = await tokensOf(acorn)
  const refused = (answer: { status: number }, label: string) =>
    assert.ok(answer.status === 400 || answer.status === 401, `${label} ${answer.status}`)
  refused(await acorn.userinfo(access, { headers: { authorization: `DPoP ${access}` } }), 'no proof')
  refused(await acorn.userinfo(access, { headers: { authorization: `Bearer ${access}` } }), 'Bearer')
  refused(await acorn.userinfo(access, {}, { ath: 'x' }), 'ath')
  refused(await acorn.userinfo(access, {}, { htm: 'PUT' }), 'htm')
  refused(await acorn.userinfo(access, {}, { htu: `${server.issuer}/token` }), 'htu')
  refused(await acorn.userinfo(access, {}, { iat: Math.floor(Date.now() / 1000) + 65 }), 'ahead')
  const other = await ThirdParty.register(server, 'other-key')
  refused(await other.userinfo(access), 'another key')
  const headers = { authorization: `DPoP ${access}`, dpop: await proofFor(access, 'GET') }
  assert.equal((await acorn.userinfo(access, { headers })).status, 200)
  refused(await acorn.userinfo(access, { headers }), 'the same proof again')
})

test('OIDC-07 MTLS-03 with another certificate, or none, the token is refused', async () => {
  const { access } = await tokensOf(cobalt)
  assert.equal((await cobalt.userinfo(access, { credential: acorn.credential })).status, 401)
  assert.equal((await cobalt.userinfo(access, { credential: undefined as never })).status, 401)
})

test('OIDC-07 FAPI2-RS-02 a token in the query or without openid, and a token of no customer, are refused', async () => {
  const { access } = await tokensOf(cobalt)
  const url = `${server.mtlsIssuer}/userinfo?access_token=${access}`
  assert.equal((await exchange(url, { ca: server.ca, credential: cobalt.credential })).status, 400)
  const { code } = await authoriseAccounts(cobalt, ada, {
    scope: 'accounts',
    nonce: undefined,
    claims: undefined,
    authorization_details: JSON.stringify([{ type: 'openbanking_consent', consent_id: await lodgeAccounts(server, 'cobalt') }]),
  })
  const plain = await cobalt.redeem(code)
  assert.equal((await cobalt.userinfo(String(plain.json['access_token']))).status, 403)
  const own = await cobalt.token({ grant_type: 'client_credentials', scope: 'accounts' })
  assert.equal((await cobalt.userinfo(String(own.json['access_token']))).status, 401)
})

test('OIDC-07 CON-12 BCP-06 a token whose grant or client does not stand any more is refused at once', async () => {
  const { access, refresh } = await tokensOf(acorn)
  assert.equal((await acorn.post('/revocation', { token: refresh })).status, 200)
  assert.equal((await acorn.userinfo(access)).status, 401)

  const later = await tokensOf(acorn)
  const change = (status: 'blocked' | 'active') =>
    transact(server.owner, (tx) => setClientStatus(tx, { clientId: 'acorn', status, actor: 'test', now: new Date() }))
  await change('blocked')
  assert.equal((await acorn.userinfo(later.access)).status, 401)
  await change('active')
  assert.equal((await acorn.userinfo(later.access)).status, 200)
})
