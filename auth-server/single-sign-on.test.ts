import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, transact } from '@bankside/service-kit/postgres'
import { untilWaitingForLocks } from '@bankside/service-kit/test-lock-waits'
import { decodeJwt } from 'jose'
import { authoriseAccounts, pushed, refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './testing/browser.ts'
import type { Answer } from './testing/exchange.ts'
import { type ResourceServer, startResourceServer } from './testing/resource-server.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { firstPartyScopes, intentClaim, ThirdParty } from './testing/third-party.ts'

const sca = 'urn:openbanking:psd2:sca'
const racers = 8
let server: TestServer
let api: ResourceServer
let ada: TestCustomer
let bob: TestCustomer
let acorn: ThirdParty
let app: ThirdParty
let other: ThirdParty

before(async () => {
  server = await startTestServer()
  api = await startResourceServer(server)
  ada = await enterCustomer(server, 'ada')
  bob = await enterCustomer(server, 'bob')
  acorn = await ThirdParty.register(server, 'acorn')
  app = await ThirdParty.register(server, 'bank-app', { firstParty: true })
  other = await ThirdParty.register(server, 'bank-desk', { firstParty: true })
})
after(async () => {
  await api.close()
  await server.stop()
})

const scope = firstPartyScopes
/** A browser whose customer signed in for a third party: no app of the bank has anything yet. */
const signedIn = async (customer = ada) => (await authoriseAccounts(acorn, customer)).customer
/** The one answer of /auth, wherever it leads. */
const authorize = async (at: CustomerAtBrowser, client: ThirdParty, params: Record<string, string> = {}) =>
  at.browser.get(`/auth?${new URLSearchParams({ client_id: client.clientId, request_uri: await pushed(client, { scope, ...params }) })}`)
const isAtOnce = ({ status, headers }: Answer) => status === 303 && /[?&]code=/.test(headers['location'] ?? '')
const errorOf = (answer: Answer) => responseOf(answer)['error']
const tokensOf = async (client: ThirdParty, answer: Answer) => {
  const { json } = await client.redeem(responseOf(answer)['code'] ?? '')
  const [accessToken, refreshToken, idToken] = [json['access_token'], json['refresh_token'], json['id_token']].map(String)
  const claims = decodeJwt(accessToken ?? '')
  return { ...{ accessToken, refreshToken, idToken }, claims, grantId: String(claims['grant_id']) }
}
const count = (table: 'grant' | 'interaction' | 'journey') =>
  server.owner.oneFirst(sql.unsafe`select count(*)::int from ${sql.identifier(['oidc', table])}`) as Promise<number>

test('OIDC-01 OIDC-02 an app of the bank is answered by the session at once: without interaction, journey or page, and with the truth about the sign-in', async () => {
  const at = await signedIn()
  const before = [await count('interaction'), await count('journey')]
  const cookies = at.browser.cookies.size
  const { claims, accessToken, idToken } = await tokensOf(app, await authorize(at, app))
  assert.deepEqual([await count('interaction'), await count('journey'), at.browser.cookies.size], [...before, cookies])
  const id = decodeJwt(idToken ?? '')
  assert.deepEqual([claims['acr'], id['acr'], id['amr'], id.sub, claims.sub], [sca, sca, ['pwd', 'otp'], ada.customerId, ada.customerId])
  assert.equal(claims['scope'], scope)
  await new Promise((later) => setTimeout(later, 1_100))
  const later = await tokensOf(app, await authorize(at, app))
  assert.equal(later.claims['auth_time'], claims['auth_time'], 'nobody signed in again')
  assert.equal(id['auth_time'], claims['auth_time'])
  const { status, json } = await api.call(app, 'GET', '/api/v1/accounts', accessToken ?? '')
  assert.equal(status, 200)
  assert.ok(JSON.stringify(json).includes(ada.accounts[0] ?? 'none'))
})

test('OIDC-02 prompt=none: a code where the session is enough, login_required where it is not, and never a page', async () => {
  const at = await signedIn()
  const none = (params: Record<string, string> = {}) => authorize(at, app, { prompt: 'none', ...params })
  assert.ok(isAtOnce(await none()))
  const stranger = new CustomerAtBrowser(server, ada)
  assert.equal(errorOf(await authorize(stranger, app, { prompt: 'none' })), 'login_required')
  await new Promise((later) => setTimeout(later, 2_100))
  assert.equal(errorOf(await none({ max_age: '1' })), 'login_required')
  assert.ok(isAtOnce(await none({ max_age: '3600', acr_values: sca })))
  const detail = { type: 'payment_initiation', instructedAmount: { amount: '1.00', currency: 'GBP' } }
  const accounts = { debtorAccount: { account_id: ada.accounts[0] }, creditorAccount: { account_id: ada.accounts[1] } }
  const payment = { authorization_details: JSON.stringify([{ ...detail, ...accounts, remittanceInformation: 'Rent' }]) }
  assert.equal(errorOf(await none({ scope: 'openid payments:write', ...payment })), 'login_required')
  const claims = intentClaim(await lodgeAccounts(server, 'acorn'))
  assert.equal(errorOf(await authorize(at, acorn, { scope: 'openid accounts', claims, prompt: 'none' })), 'consent_required')
})

test('OIDC-02 OIDC-06 STEP-02 what the session is not enough for is asked for, and the session is left as it was', async () => {
  const at = await signedIn()
  const { grantId } = await tokensOf(app, await authorize(at, app))
  const [grants, hint] = [await count('grant'), (await tokensOf(app, await authorize(await signedIn(bob), app))).idToken ?? '']
  const sub = JSON.stringify({ id_token: { sub: { value: bob.customerId } } })
  for (const params of [{ prompt: 'login' }, { max_age: '0' }, { id_token_hint: hint }, { claims: sub }]) {
    const answer = await authorize(at, app, params)
    assert.match(answer.headers['location'] ?? '', /\/interaction\//, JSON.stringify(params))
    assert.match((await at.browser.follow(answer)).text, /name="password"/)
  }
  assert.ok(!isAtOnce(await authorize(at, acorn, { scope: 'openid accounts', claims: intentClaim(await lodgeAccounts(server, 'acorn')) })))
  assert.equal((await tokensOf(app, await authorize(at, app))).grantId, grantId)
  assert.equal((await count('grant')) - grants, 2, 'bob’s two, and none for what was not answered')
})

test('a payment is never had by the session alone, and what it was given covers nothing else', async () => {
  const at = await signedIn()
  const detail = {
    type: 'payment_initiation',
    instructedAmount: { amount: '2.00', currency: 'GBP' },
    debtorAccount: { account_id: ada.accounts[0] },
    creditorAccount: { account_id: ada.accounts[1] },
    remittanceInformation: 'Rent',
  }
  const payment = { scope: 'openid accounts:read payments:write', authorization_details: JSON.stringify([detail]) }
  const page = await at.browser.follow(await authorize(at, app, payment))
  const paid = await tokensOf(app, await at.agree(await at.enterCode(page), [ada.accounts[0] ?? '']))
  const plain = await tokensOf(app, await authorize(at, app, { scope: payment.scope }))
  assert.notEqual(plain.grantId, paid.grantId)
  assert.equal(plain.claims['authorization_details'], undefined)
  await at.browser.get(`/session/end?${new URLSearchParams({ id_token_hint: plain.idToken ?? '' })}`)
  for (const { accessToken = '' } of [paid, plain])
    assert.equal((await api.call(app, 'GET', '/api/v1/accounts', accessToken)).status, 401, 'both ended with the session')
})

test('what the app was given through the session covers the same again and less; more, another app and other claims get a grant of their own', async () => {
  const at = await signedIn()
  const openOnly = { scope: 'openid accounts:read' }
  const first = await tokensOf(app, await authorize(at, app, { scope: 'openid accounts:read profile' }))
  const less = await tokensOf(app, await authorize(at, app, openOnly))
  assert.deepEqual([less.grantId, less.claims['scope']], [first.grantId, 'openid accounts:read'])
  const elsewhere = await tokensOf(other, await authorize(at, other, openOnly))
  assert.notEqual(elsewhere.grantId, first.grantId)
  const told = await tokensOf(app, await authorize(at, app, { ...openOnly, claims: JSON.stringify({ userinfo: { name: null } }) }))
  assert.notEqual(told.grantId, first.grantId)
  assert.ok('name' in (await app.userinfo(told.accessToken ?? '')).json)
  const untold = await tokensOf(app, await authorize(at, app, openOnly))
  assert.ok(!('name' in (await app.userinfo(untold.accessToken ?? '')).json), 'userinfo tells what was asked for this time')
  const more = await tokensOf(app, await authorize(at, app))
  assert.deepEqual([more.grantId === untold.grantId, more.claims['scope']], [false, scope])
})

test('PAR-06 FAPI2-AZ-15 of eight browsers’ tabs that open one pushed request at once exactly one gets a code, and one grant is made', async () => {
  for (const state of ['without a grant', 'with the grant of before']) {
    const at = await signedIn()
    if (state !== 'without a grant') await tokensOf(app, await authorize(at, app))
    const grants = await count('grant')
    const address = `/auth?${new URLSearchParams({ client_id: 'bank-app', request_uri: await pushed(app, { scope }) })}`
    const answers = await Promise.all(Array.from({ length: racers }, () => at.browser.get(address)))
    assert.equal(answers.filter(isAtOnce).length, 1, state)
    assert.equal((await count('grant')) - grants, state === 'without a grant' ? 1 : 0)
    assert.equal(isAtOnce(await at.browser.get(address)), false, 'nor later')
  }
})

test('PAR-06 a journey that began with the request before the session was there ends with no second code', async () => {
  const requestUri = await pushed(app, { scope })
  const late = new CustomerAtBrowser(server, ada)
  const page = await late.open(app, requestUri)
  const at = await signedIn()
  const { refreshToken } = await tokensOf(app, await at.open(app, requestUri))
  const end = await late.signIn(page)
  assert.ok(!isAtOnce(end), `${end.status}`)
  assert.equal((await app.refresh(refreshToken ?? '')).status, 200)
})

test('BCP-06 LOGOUT-04 whatever two tabs were given at once ends with the session, and the session answers nothing more', async () => {
  const at = await signedIn()
  const answers = await Promise.all([authorize(at, app), authorize(at, app), authorize(at, other)])
  const given = await Promise.all([app, app, other].map((client, index) => tokensOf(client, answers[index] as Answer)))
  await at.browser.get(`/session/end?${new URLSearchParams({ id_token_hint: given[0]?.idToken ?? '' })}`)
  for (const [index, { refreshToken = '' }] of given.entries())
    assert.equal(refusal(await ([app, app, other][index] as ThirdParty).refresh(refreshToken)), '400 invalid_grant', String(index))
  assert.equal(errorOf(await authorize(at, app, { prompt: 'none' })), 'login_required')
})

test('LOGOUT-04 what is answered while its session ends is not answered, and the session stays ended', async () => {
  const at = await signedIn()
  const { idToken = '' } = await tokensOf(app, await authorize(at, app))
  const tab = at.beside()
  const requestUri = await pushed(app, { scope, claims: JSON.stringify({ userinfo: { name: null } }) })
  const both = await transact(server.owner, async (tx) => {
    await tx.query(sql.unsafe`select from oidc.session for update`)
    const ending = at.browser.get(`/session/end?${new URLSearchParams({ id_token_hint: idToken })}`)
    await untilWaitingForLocks(server.owner, 1)
    const answering = tab.browser.get(`/auth?${new URLSearchParams({ client_id: 'bank-app', request_uri: requestUri })}`)
    await untilWaitingForLocks(server.owner, 2)
    return [ending, answering] as const
  })
  assert.equal(errorOf((await Promise.all(both))[1]), 'login_required')
  assert.equal(errorOf(await authorize(tab, app, { prompt: 'none' })), 'login_required')
})

test('somebody else who signs in at this browser ends what the app was given before, and keeps what it is given now', async () => {
  const at = await signedIn()
  const hers = await tokensOf(app, await authorize(at, app))
  const page = await at.browser.follow(await authorize(at, app, { prompt: 'login' }))
  const his = at.beside(bob)
  const { refreshToken, claims } = await tokensOf(app, await his.signIn(page))
  assert.equal(claims.sub, bob.customerId)
  assert.equal(refusal(await app.refresh(hers.refreshToken ?? '')), '400 invalid_grant')
  assert.equal((await app.refresh(refreshToken ?? '')).status, 200)
  const again = await tokensOf(app, await authorize(his, app, { claims: JSON.stringify({ userinfo: { name: null } }) }))
  assert.deepEqual([again.claims.sub, again.grantId === claims['grant_id']], [bob.customerId, false])
  await his.browser.get(`/session/end?${new URLSearchParams({ id_token_hint: again.idToken ?? '' })}`)
  for (const { refreshToken: given = '' } of [{ refreshToken }, again])
    assert.equal(refusal(await app.refresh(given)), '400 invalid_grant', 'all that he was given ends with his session')
})

test('FAPI2-AZ-09 a code that is used twice ends what the session gave the app; the next answer is a grant of its own', async () => {
  const at = await signedIn()
  const { code = '' } = responseOf(await authorize(at, app))
  const first = await app.redeem(code)
  assert.equal(first.status, 200)
  assert.equal(refusal(await app.redeem(code)), '400 invalid_grant')
  assert.equal(refusal(await app.refresh(String(first.json['refresh_token']))), '400 invalid_grant')
  const anew = await tokensOf(app, await authorize(at, app))
  assert.notEqual(anew.grantId, decodeJwt(String(first.json['access_token']))['grant_id'])
})

test('a grant that somebody wrote into the database is not what the session answers from', async () => {
  const at = await signedIn()
  const { grantId } = await tokensOf(app, await authorize(at, app, { scope: 'openid accounts:read' }))
  const wider = await tokensOf(app, await authorize(await signedIn(), app))
  await server.owner.query(sql.unsafe`
    update oidc.grant set payload = (select payload from oidc.grant where grant_id = ${wider.grantId}) where grant_id = ${grantId}`)
  const { grantId: used } = await tokensOf(app, await authorize(at, app))
  assert.ok(![grantId, wider.grantId].includes(used))
})

test('a client that is blocked gets nothing by the session, and nothing for the code that it has', async () => {
  const at = await signedIn()
  const requestUri = await pushed(other, { scope })
  const { code = '' } = responseOf(await authorize(at, other))
  await server.owner.query(sql.unsafe`update clients.client set status = 'blocked' where client_id = 'bank-desk'`)
  assert.ok(!isAtOnce(await at.open(other, requestUri)))
  assert.equal(refusal(await other.redeem(code)), '401 invalid_client')
})
