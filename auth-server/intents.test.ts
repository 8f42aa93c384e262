import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { rejectConsent } from '@bankside/bank/consents/reject-consent'
import { sql, transact } from '@bankside/service-kit/postgres'
import { decodeJwt } from 'jose'
import { authoriseAccounts, authorisedTokens, pushed, refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, lodgePayment, readConsent, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './testing/browser.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

let server: TestServer
let ada: TestCustomer
let acorn: ThirdParty
let cobalt: ThirdParty
let app: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
  cobalt = await ThirdParty.register(server, 'cobalt')
  app = await ThirdParty.register(server, 'bank-app', { firstParty: true })
})
after(() => server.stop())

const sca = 'urn:openbanking:psd2:sca'
const details = (...list: object[]) => JSON.stringify(list)
const byDetail = (consentId: string) => ({ type: 'openbanking_consent', consent_id: consentId })
const unknown = `con_${'0'.repeat(32)}`

const pushFor = async (make: (own: string, foreign: string, payment: string) => Record<string, string | undefined>) =>
  refusal(
    await acorn.push(
      make(await lodgeAccounts(server, 'acorn'), await lodgeAccounts(server, 'cobalt'), await lodgePayment(server, 'acorn')),
    ),
  )

const refused: readonly (readonly [
  string,
  (own: string, foreign: string, payment: string) => Record<string, string | undefined>,
  string,
])[] = [
  ['OIDC-04 RW-TOK-07 no consent at all', () => ({}), 'invalid_request'],
  ['OIDC-04 a consent of another client', (_own, foreign) => ({ claims: intentClaim(foreign) }), 'invalid_request'],
  [
    'OIDC-04 a consent of another client by detail',
    (_own, foreign) => ({ authorization_details: details(byDetail(foreign)) }),
    'invalid_request',
  ],
  ['OIDC-04 an unknown consent', () => ({ claims: intentClaim(unknown) }), 'invalid_request'],
  ['OIDC-04 an id that is none', () => ({ claims: intentClaim('x') }), 'invalid_request'],
  [
    'OIDC-04 an intent without a value',
    () => ({ claims: JSON.stringify({ id_token: { openbanking_intent_id: null } }) }),
    'invalid_request',
  ],
  [
    'RW-TOK-07 two doors that disagree',
    (own, foreign) => ({ claims: intentClaim(own), authorization_details: details(byDetail(foreign)) }),
    'invalid_request',
  ],
  ['RW-TOK-08 an account access with scope payments', (own) => ({ claims: intentClaim(own), scope: 'openid payments' }), 'invalid_scope'],
  [
    'RW-TOK-08 FAPI2-AS-14 an account access with both scopes',
    (own) => ({ claims: intentClaim(own), scope: 'openid accounts payments' }),
    'invalid_scope',
  ],
  ['RW-TOK-08 a payment with scope accounts', (_own, _foreign, payment) => ({ claims: intentClaim(payment) }), 'invalid_scope'],
  ['RW-TOK-08 an account access without its scope', (own) => ({ claims: intentClaim(own), scope: 'openid' }), 'invalid_scope'],
  [
    'OIDC-03 STEP-02 an essential acr that nobody reaches',
    (own) => ({ claims: intentClaim(own, { acr: { essential: true, values: ['urn:other'] } }) }),
    'unmet_authentication_requirements',
  ],
  [
    'OIDC-03 an essential acr value that nobody reaches',
    (own) => ({ claims: intentClaim(own, { acr: { essential: true, value: 'urn:other' } }) }),
    'unmet_authentication_requirements',
  ],
  [
    'STEP-02 acr_values that nobody reaches',
    (own) => ({ claims: intentClaim(own), acr_values: 'urn:other' }),
    'unmet_authentication_requirements',
  ],
  [
    'OIDC-03 acr values that are no list',
    (own) => ({ claims: intentClaim(own, { acr: { essential: true, values: sca } }) }),
    'invalid_request',
  ],
  ['RAR-01 a type that nobody knows', () => ({ authorization_details: details({ type: 'surprise' }) }), 'invalid_authorization_details'],
  [
    'RAR-01 an unknown member',
    (own) => ({ authorization_details: details({ ...byDetail(own), surprise: 1 }) }),
    'invalid_authorization_details',
  ],
  ['RAR-01 a missing member', () => ({ authorization_details: details({ type: 'openbanking_consent' }) }), 'invalid_authorization_details'],
  [
    'RAR-01 a member of another type',
    () => ({ authorization_details: details({ type: 'openbanking_consent', consent_id: 7 }) }),
    'invalid_authorization_details',
  ],
  ['RAR-01 what is no list', (own) => ({ authorization_details: JSON.stringify(byDetail(own)) }), 'invalid_authorization_details'],
  ['RAR-01 what is no JSON', () => ({ authorization_details: '[' }), 'invalid_authorization_details'],
  ['RAR-01 two details', (own) => ({ authorization_details: details(byDetail(own), byDetail(own)) }), 'invalid_authorization_details'],
  ['RAR-02 a type that is for apps of the bank', () => ({ authorization_details: details(transfer()) }), 'invalid_authorization_details'],
  ['RW-TOK-07 claims that are no JSON', () => ({ claims: '{' }), 'invalid_request'],
]
for (const [what, params, error] of refused)
  test(`${what} is refused when it is pushed`, async () => assert.equal(await pushFor(params), `400 ${error}`))

function transfer(change: object = {}) {
  return {
    type: 'payment_initiation',
    instructedAmount: { amount: '12.34', currency: 'GBP' },
    debtorAccount: { account_id: ada.accounts[0] },
    creditorAccount: { account_id: ada.accounts[1] },
    remittanceInformation: 'Rent',
    ...change,
  }
}

test('RAR-01 RAR-02 an app of the bank asks for a whole payment or for none', async () => {
  const push = async (params: Record<string, string | undefined>) => refusal(await app.push({ scope: 'openid payments:write', ...params }))
  assert.equal(await push({ authorization_details: details(transfer()) }), '201 undefined')
  for (const change of [
    { instructedAmount: { amount: '12.345', currency: 'GBP' } },
    { instructedAmount: { amount: '0', currency: 'GBP' } },
    { instructedAmount: { amount: '-1', currency: 'GBP' } },
    { instructedAmount: { amount: '1', currency: 'XXX' } },
    { instructedAmount: { amount: '25000.01', currency: 'GBP' } },
    { creditorAccount: { account_id: 'acc_1' } },
    { debtorAccount: {} },
    { extra: true },
  ])
    assert.equal(
      await push({ authorization_details: details(transfer(change)) }),
      '400 invalid_authorization_details',
      JSON.stringify(change),
    )
  assert.equal(await push({ authorization_details: details(transfer()), scope: 'openid accounts:read' }), '400 invalid_scope')
  assert.equal(await push({ claims: intentClaim(await lodgeAccounts(server, 'bank-app')) }), '400 invalid_request')
})

test('PAR-03 RW-TOK-06 a consent that was rejected or deleted between push and browser is refused again, by redirect', async () => {
  const consents = [await lodgeAccounts(server, 'acorn'), await lodgeAccounts(server, 'acorn')] as const
  const uris = await Promise.all(consents.map((consentId) => pushed(acorn, { claims: intentClaim(consentId) })))
  await transact(server.owner, (tx) =>
    rejectConsent(tx, { consentId: consents[0], clientId: 'acorn', reasonCode: 'U036', description: 'test', now: new Date() }),
  )
  await server.owner.query(sql.unsafe`update consents.consent set deleted_at = now() where consent_id = ${consents[1]}`)
  for (const uri of uris) assert.equal(responseOf(await new CustomerAtBrowser(server, ada).open(acorn, uri))['error'], 'invalid_request')
  for (const consentId of consents) assert.equal(refusal(await acorn.push({ claims: intentClaim(consentId) })), '400 invalid_request')
})

test('PAR-03 CX-18 a consent that is withdrawn while its pages are open ends the journey, and leads back', async () => {
  const consentId = await lodgeAccounts(server, 'acorn')
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.signIn(await customer.open(acorn, await pushed(acorn, { claims: intentClaim(consentId) })))
  await server.owner.query(sql.unsafe`update consents.consent set deleted_at = now() where consent_id = ${consentId}`)
  const end = await customer.agree(page, ada.accounts.slice(0, 1))
  assert.equal(end.status, 400)
  const [, href = ''] = /href="(\/interaction\/[^"]+\/leave)"/.exec(end.text) ?? []
  assert.equal(responseOf(await customer.browser.follow(await customer.browser.get(href)))['error'], 'access_denied')
})

test('PAR-03 CX-18 a consent that is withdrawn before its first page shows, to whoever is signed in, ends there, and leads back', async () => {
  const { customer } = await authoriseAccounts(acorn, ada)
  const asked = [
    { consentId: await lodgeAccounts(server, 'acorn'), scope: 'openid accounts' },
    { consentId: await lodgePayment(server, 'acorn'), scope: 'openid payments' },
  ]
  for (const { consentId, scope } of asked) {
    const query = new URLSearchParams({
      client_id: acorn.clientId,
      request_uri: await pushed(acorn, { scope, claims: intentClaim(consentId) }),
    })
    const redirect = await customer.browser.get(`/auth?${query}`)
    assert.equal(redirect.status, 303)
    await server.owner.query(sql.unsafe`update consents.consent set deleted_at = now() where consent_id = ${consentId}`)
    const end = await customer.browser.follow(redirect)
    assert.equal(end.status, 400, scope)
    const [, href = ''] = /href="(\/interaction\/[^"]+\/leave)"/.exec(end.text) ?? []
    assert.equal(responseOf(await customer.browser.follow(await customer.browser.get(href)))['error'], 'access_denied')
  }
})

test('FAPI2-AZ-17 RAR-03 RAR-04 RAR-05 RW-TOK-07 by detail alone: the detail comes back with the token, and the intent claim when it was asked for', async () => {
  const consentId = await lodgeAccounts(server, 'acorn')
  const requestUri = await pushed(acorn, { authorization_details: details(byDetail(consentId)) })
  const customer = new CustomerAtBrowser(server, ada)
  const { code = '' } = responseOf(
    await customer.agree(await customer.signIn(await customer.open(acorn, requestUri)), ada.accounts.slice(0, 1)),
  )
  const { json } = await acorn.redeem(code)
  assert.deepEqual(json['authorization_details'], [byDetail(consentId)])
  const token = decodeJwt(String(json['access_token']))
  assert.deepEqual(token['authorization_details'], [byDetail(consentId)], 'RAR-05')
  assert.equal(token['consent_id'], consentId)
  const refreshed = await acorn.refresh(String(json['refresh_token']), { authorization_details: details(byDetail(consentId)) })
  assert.deepEqual(refreshed.json['authorization_details'], [byDetail(consentId)])
  const wider = await acorn.refresh(String(json['refresh_token']), { authorization_details: details(byDetail(unknown)) })
  assert.equal(refusal(wider), '400 invalid_authorization_details', 'RAR-04')
})

test('RW-TOK-07 both doors that agree lead to one consent; userinfo in the claims is passed over', async () => {
  const consentId = await lodgeAccounts(server, 'acorn')
  const openbanking_intent_id = { value: consentId, essential: true }
  const claims = JSON.stringify({
    userinfo: { openbanking_intent_id },
    id_token: { openbanking_intent_id, acr: { essential: true, values: [sca, 'urn:openbanking:psd2:ca'] } },
  })
  const customer = new CustomerAtBrowser(server, ada)
  const requestUri = await pushed(acorn, { claims, authorization_details: details(byDetail(consentId)) })
  const { code = '' } = responseOf(
    await customer.agree(await customer.signIn(await customer.open(acorn, requestUri)), ada.accounts.slice(0, 1)),
  )
  const id = decodeJwt(String((await acorn.redeem(code)).json['id_token']))
  assert.equal(id['openbanking_intent_id'], consentId)
  assert.equal(id['acr'], sca)
})

test('OIDC-02 prompt=none is login_required without a session, and consent_required with one', async () => {
  const none = async (customer: CustomerAtBrowser) =>
    responseOf(
      await customer.open(acorn, await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')), prompt: 'none' })),
    )['error']
  assert.equal(await none(new CustomerAtBrowser(server, ada)), 'login_required')
  const { customer } = await authoriseAccounts(acorn, ada)
  assert.equal(await none(customer), 'consent_required')
})

test('OIDC-02 CX-PIS-04 a payment cannot be had with prompt=none, whatever session there is', async () => {
  const { customer } = await authoriseAccounts(acorn, ada)
  const requestUri = await pushed(acorn, {
    scope: 'openid payments',
    claims: intentClaim(await lodgePayment(server, 'acorn')),
    prompt: 'none',
  })
  assert.equal(responseOf(await customer.open(acorn, requestUri))['error'], 'login_required')
})

test('OIDC-02 a session spares the sign-in for account access; prompt=login, max_age=0 and an age that has passed do not', async () => {
  const { customer } = await authoriseAccounts(acorn, ada)
  const headingFor = async (params: Record<string, string>) => {
    const page = await customer.open(acorn, await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')), ...params }))
    return /<h1[^>]*>([^<]*)/.exec(page.text)?.[1]?.trim()
  }
  assert.match((await headingFor({})) ?? '', /^Share account information/)
  assert.match((await headingFor({ max_age: '600' })) ?? '', /^Share account information/)
  for (const params of [{ prompt: 'login' }, { max_age: '0' }]) assert.match((await headingFor(params)) ?? '', /^Sign in/)
  await new Promise((later) => setTimeout(later, 2_100))
  assert.match((await headingFor({ max_age: '1' })) ?? '', /^Sign in/)
})

test('OIDC-01 STEP-03 auth_time is when both factors were given, and stays through a session and a refresh', async () => {
  const first = await authorisedTokens(acorn, ada)
  const authTime = decodeJwt(String(first.tokens.json['id_token']))['auth_time']
  await new Promise((later) => setTimeout(later, 1_100))
  const consentId = await lodgeAccounts(server, 'acorn')
  const page = await first.customer.open(acorn, await pushed(acorn, { claims: intentClaim(consentId) }))
  const { code = '' } = responseOf(await first.customer.agree(page, ada.accounts.slice(0, 1)))
  const second = await acorn.redeem(code)
  const refreshed = await acorn.refresh(String(second.json['refresh_token']))
  for (const { json } of [second, refreshed]) assert.equal(decodeJwt(String(json['access_token']))['auth_time'], authTime)
})

test('RW-TOK-04 RW-TOK-05 CX-14 CON-07 consent that is given again begins with the accounts of the first time, and ends the tokens of the first time', async () => {
  const { consentId, tokens, customer } = await authorisedTokens(acorn, ada)
  const page = await customer.open(acorn, await pushed(acorn, { claims: intentClaim(consentId) }))
  assert.match(page.text, /Keep sharing/)
  assert.equal(page.text.match(/<input[^>]*\bchecked\b/g)?.length, 2)
  const { code = '' } = responseOf(await customer.agree(page, ada.accounts.slice(0, 1)))
  const again = await acorn.redeem(code)
  assert.equal(again.status, 200)
  assert.equal(refusal(await acorn.refresh(String(tokens.json['refresh_token']))), '400 invalid_grant')
  assert.equal((await readConsent(server, consentId)).grant_id, decodeJwt(String(again.json['access_token']))['grant_id'])
})

test('RW-TOK-01 another customer cannot take over a consent', async () => {
  const bob = await enterCustomer(server, 'bob')
  const { consentId, tokens } = await authorisedTokens(acorn, ada)
  const before = await readConsent(server, consentId)
  const customer = new CustomerAtBrowser(server, bob)
  const end = await customer.signIn(await customer.open(acorn, await pushed(acorn, { claims: intentClaim(consentId) })))
  assert.match(end.text, /for another customer/)
  const [, href = ''] = /href="(\/interaction\/[^"]+\/leave)"/.exec(end.text) ?? []
  assert.equal(responseOf(await customer.browser.follow(await customer.browser.get(href)))['error'], 'access_denied')
  assert.deepEqual(await readConsent(server, consentId), before)
  assert.equal((await acorn.refresh(String(tokens.json['refresh_token']))).status, 200)
})

test('FAPI2-AS-14 OIDC-07 a third party gets no name by asking for the claim', async () => {
  const consentId = await lodgeAccounts(server, 'acorn')
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.signIn(
    await customer.open(acorn, await pushed(acorn, { claims: intentClaim(consentId, { name: { essential: true } }) })),
  )
  const { code = '' } = responseOf(await customer.agree(page, ada.accounts.slice(0, 1)))
  assert.ok(!('name' in decodeJwt(String((await acorn.redeem(code)).json['id_token']))))
  assert.equal(cobalt.clientId, 'cobalt')
})
