import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { decodeJwt } from 'jose'
import { authoriseAccounts, authorisedTokens, pushed, refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './testing/browser.ts'
import type { Answer } from './testing/exchange.ts'
import { type ResourceServer, startResourceServer } from './testing/resource-server.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { firstPartyScopes, intentClaim, ThirdParty } from './testing/third-party.ts'

const sca = 'urn:openbanking:psd2:sca'
let server: TestServer
let api: ResourceServer
let ada: TestCustomer
let bob: TestCustomer
let acorn: ThirdParty
let app: ThirdParty

before(async () => {
  server = await startTestServer()
  api = await startResourceServer(server)
  ada = await enterCustomer(server, 'ada')
  bob = await enterCustomer(server, 'bob')
  acorn = await ThirdParty.register(server, 'acorn')
  app = await ThirdParty.register(server, 'bank-app', { firstParty: true })
})
after(async () => {
  await api.close()
  await server.stop()
})

const asksToSignIn = (page: Answer) => /name="password"/.test(page.text)
const leave = async (at: CustomerAtBrowser, end: Answer) => {
  const [, href = ''] = /href="(\/interaction\/[^"]+\/leave)"/.exec(end.text) ?? []
  return responseOf(await at.browser.follow(await at.browser.get(href)))['error']
}

/** The app signs its user in, as far as the session and the request demand. */
async function appTokens(at: CustomerAtBrowser, params: Record<string, string> = {}) {
  const page = await at.open(app, await pushed(app, { scope: firstPartyScopes, ...params }))
  const signedIn = page.status === 303 ? page : await at.signIn(page)
  const { json } = await app.redeem(responseOf(signedIn)['code'] ?? '')
  return { asked: page.status !== 303, accessToken: String(json['access_token']), claims: decodeJwt(String(json['access_token'])) }
}

const transfer = () => ({
  source_account_id: ada.accounts[0],
  destination_account_id: ada.accounts[1],
  amount_cents: 1_234,
  currency: 'GBP',
  description: 'Rent',
})

test('STEP-01 STEP-02 STEP-03 NAT-S4 from the refusal of the API to the payment: the challenge names what a new authorization must reach, and reaches it', async () => {
  const at = new CustomerAtBrowser(server, ada)
  const signedIn = await appTokens(at)
  assert.equal(signedIn.claims['acr'], sca)
  const refused = await api.call(app, 'POST', '/api/v1/transactions/transfer', signedIn.accessToken, transfer())
  assert.equal(refused.status, 401, refused.text)
  const challenge = refused.headers['www-authenticate'] ?? ''
  assert.match(challenge, /error="insufficient_user_authentication"/)
  const [, acr = ''] = /acr_values="([^"]+)"/.exec(challenge) ?? []
  const [, maxAge = ''] = /max_age="?(\d+)/.exec(challenge) ?? []
  assert.deepEqual([acr, maxAge], [sca, '300'])

  const detail = {
    type: 'payment_initiation',
    instructedAmount: { amount: '12.34', currency: 'GBP' },
    debtorAccount: { account_id: ada.accounts[0] },
    creditorAccount: { account_id: ada.accounts[1] },
    remittanceInformation: 'Rent',
  }
  const request = { scope: 'openid payments:write', acr_values: acr, max_age: maxAge, authorization_details: JSON.stringify([detail]) }
  const page = await at.open(app, await pushed(app, request))
  assert.ok(!asksToSignIn(page), 'the session is young enough: the second factor for this payment is enough')
  const { code = '' } = responseOf(await at.agree(await at.enterCode(page), [ada.accounts[0] ?? '']))
  const { json } = await app.redeem(code)
  const claims = decodeJwt(String(json['access_token']))
  assert.equal(claims['acr'], sca)
  assert.ok(Number(claims['auth_time']) > Date.now() / 1000 - 300)
  const paid = await api.call(app, 'POST', '/api/v1/transactions/transfer', String(json['access_token']), transfer())
  assert.equal(paid.status, 202, paid.text)
})

test('STEP-01 STEP-02 OIDC-02 an age that the API demands is reached by signing in again, and the token says when that was', async () => {
  const at = new CustomerAtBrowser(server, ada)
  const first = await appTokens(at)
  await new Promise((later) => setTimeout(later, 1_100))
  const spared = await appTokens(at, { max_age: '300' })
  assert.deepEqual([spared.asked, spared.claims['auth_time']], [false, first.claims['auth_time']])
  for (const params of [{ max_age: '0' }, { prompt: 'login' }]) {
    const again = await appTokens(at, { ...params, acr_values: sca })
    assert.equal(again.asked, true)
    assert.ok(Number(again.claims['auth_time']) > Number(first.claims['auth_time']))
  }
})

test('STEP-02 OIDC-02 what would need a page is not had with prompt=none: login_required, and no other', async () => {
  const { customer } = await authoriseAccounts(acorn, ada)
  await new Promise((later) => setTimeout(later, 2_100))
  const claims = intentClaim(await lodgeAccounts(server, 'acorn'))
  const none = async (params: Record<string, string>) =>
    responseOf(await customer.open(acorn, await pushed(acorn, { claims, prompt: 'none', ...params })))['error']
  assert.equal(await none({ max_age: '1' }), 'login_required')
  assert.equal(await none({ max_age: '3600' }), 'consent_required')
  for (const prompt of ['none login', 'create']) assert.equal(refusal(await acorn.push({ claims, prompt })), '400 invalid_request')
  for (const max_age of ['-1', 'soon', '1.5']) assert.equal(refusal(await acorn.push({ claims, max_age })), '400 invalid_request')
})

test('STEP-02 an assurance that nobody reaches is unmet_authentication_requirements, whatever else would be possible', async () => {
  const claims = intentClaim(await lodgeAccounts(server, 'acorn'))
  const refused = async (params: Record<string, string>) => refusal(await acorn.push({ claims, ...params }))
  assert.equal(await refused({ acr_values: 'urn:openbanking:psd2:ca' }), '400 unmet_authentication_requirements')
  assert.equal(await refused({ acr_values: 'urn:other urn:more', prompt: 'login' }), '400 unmet_authentication_requirements')
  assert.equal(await refused({ acr_values: `urn:other ${sca}` }), '201 undefined')
})

test('STEP-03 OIDC-01 acr, amr and auth_time of ID token and access token tell of the same sign-in', async () => {
  const { tokens } = await authorisedTokens(acorn, ada)
  const [id, access] = [decodeJwt(String(tokens.json['id_token'])), decodeJwt(String(tokens.json['access_token']))]
  assert.deepEqual([id['acr'], id['amr']], [sca, ['pwd', 'otp']])
  assert.deepEqual([access['acr'], access['auth_time']], [id['acr'], id['auth_time']])
})

/** An ID token of one of our customers for one of the clients. */
const idTokenOf = async (client: ThirdParty, customer: TestCustomer) => {
  const { code, customer: at } = await authoriseAccounts(client, customer)
  return { at, idToken: String((await client.redeem(code)).json['id_token']) }
}

test('OIDC-06 RW-TOK-09 a hint of the customer who is signed in spares nothing that is due and asks for nothing more', async () => {
  const { at, idToken } = await idTokenOf(acorn, ada)
  const claims = intentClaim(await lodgeAccounts(server, 'acorn'))
  const page = await at.open(acorn, await pushed(acorn, { claims, id_token_hint: idToken }))
  assert.match(page.text, /Share account information/)
  assert.ok(responseOf(await at.agree(page, ada.accounts.slice(0, 1)))['code'])
  const fresh = new CustomerAtBrowser(server, ada)
  const asked = await fresh.open(
    acorn,
    await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')), id_token_hint: idToken }),
  )
  assert.ok(asksToSignIn(asked), 'RW-TOK-09 never instead of signing in')
  assert.match((await fresh.signIn(asked)).text, /Share account information/)
})

test('OIDC-06 another customer than the one of the hint agrees to nothing: login_required', async () => {
  const { idToken } = await idTokenOf(acorn, ada)
  const consentId = await lodgeAccounts(server, 'acorn')
  const { at } = await idTokenOf(acorn, bob)
  const page = await at.open(acorn, await pushed(acorn, { claims: intentClaim(consentId), id_token_hint: idToken }))
  assert.ok(asksToSignIn(page), 'a session of somebody else answers nothing')
  const end = await at.signIn(page)
  assert.match(end.text, /for another customer/)
  assert.equal(await leave(at, end), 'login_required')
  const { idToken: bobs } = await idTokenOf(acorn, bob)
  const none = await at.open(acorn, await pushed(acorn, { claims: intentClaim(consentId), id_token_hint: idToken, prompt: 'none' }))
  assert.equal(responseOf(none)['error'], 'login_required')
  assert.ok(bobs)
})

test('OIDC-06 the claim sub with a value names the customer in the same way', async () => {
  const { idToken } = await idTokenOf(acorn, ada)
  const sub = { value: decodeJwt(idToken).sub, essential: true }
  const claims = async () => intentClaim(await lodgeAccounts(server, 'acorn'), { sub })
  const at = new CustomerAtBrowser(server, bob)
  assert.equal(await leave(at, await at.signIn(await at.open(acorn, await pushed(acorn, { claims: await claims() })))), 'login_required')
  const hers = new CustomerAtBrowser(server, ada)
  assert.match(
    (await hers.signIn(await hers.open(acorn, await pushed(acorn, { claims: await claims() })))).text,
    /Share account information/,
  )
})

test('OIDC-06 a hint for another client, a broken one and one of somebody else’s keys are refused when they are pushed', async () => {
  const cobalt = await ThirdParty.register(server, 'cobalt')
  const { idToken } = await idTokenOf(cobalt, ada)
  const claims = intentClaim(await lodgeAccounts(server, 'acorn'))
  for (const id_token_hint of [idToken, `${idToken.slice(0, -5)}AAAAA`, await acorn.assertion({ aud: 'acorn', iss: server.issuer })])
    assert.equal(refusal(await acorn.push({ claims, id_token_hint })), '400 invalid_request')
})

test('OIDC-08 the hint of one third party says nothing to another: customers have a name per client', async () => {
  const cobalt = await ThirdParty.register(server, 'cobalt-2')
  const [one, other] = [await idTokenOf(acorn, ada), await idTokenOf(cobalt, ada)]
  assert.notEqual(decodeJwt(one.idToken).sub, decodeJwt(other.idToken).sub)
})
