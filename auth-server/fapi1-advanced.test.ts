import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { generateKeyPair, UnsecuredJWT } from 'jose'
import { pushed, refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, lodgePayment, readConsent, type TestCustomer } from './testing/bank-fixtures.ts'
import { Browser, CustomerAtBrowser, formOf, fragmentOf, responseOf } from './testing/browser.ts'
import type { Answer } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, redirectUri, ThirdParty } from './testing/third-party.ts'

let server: TestServer
let ada: TestCustomer
let hybrid: ThirdParty
let jarm: ThirdParty
let byCertificate: ThirdParty
let fapi2: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  hybrid = await ThirdParty.register(server, 'hybrid', { profile: 'fapi1_adv_hybrid', constraint: 'mtls' })
  jarm = await ThirdParty.register(server, 'jarm', { profile: 'fapi1_adv_jarm', constraint: 'mtls', algorithm: 'PS256' })
  byCertificate = await ThirdParty.register(server, 'by-certificate', {
    ...{ profile: 'fapi1_adv_hybrid', authentication: 'tls_client_auth', constraint: 'mtls', algorithm: 'PS256' },
    metadata: { id_token_signed_response_alg: 'PS256' },
  })
  fapi2 = await ThirdParty.register(server, 'fapi2', { profile: 'fapi2_ms', constraint: 'mtls' })
})
after(() => server.stop())

const now = () => Math.floor(Date.now() / 1000)
const claimsOf = async (thirdParty: ThirdParty) => intentClaim(await lodgeAccounts(server, thirdParty.clientId))
/** PKCE is for pushed requests; by value it may be left out. */
const withoutPkce = { code_challenge: undefined, code_challenge_method: undefined }

async function openByValue(thirdParty: ThirdParty, params: Record<string, unknown> = {}, outside: Record<string, string> = {}) {
  const request = await thirdParty.requestObject({ ...withoutPkce, claims: await claimsOf(thirdParty), ...params })
  return openObject(thirdParty, request, outside)
}

async function openObject(thirdParty: ThirdParty, request: string, outside: Record<string, string> = {}) {
  const customer = new CustomerAtBrowser(server, ada)
  return { customer, page: await customer.openWith({ client_id: thirdParty.clientId, ...outside, request }) }
}

async function agreed({ customer, page }: { customer: CustomerAtBrowser; page: Answer }): Promise<Answer> {
  return customer.agree(await customer.signIn(page), ada.accounts.slice(0, 1))
}

const decoded = (jwt: string | undefined) =>
  JSON.parse(Buffer.from((jwt ?? '').split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
const half = (text: string) => createHash('sha256').update(text).digest().subarray(0, 16).toString('base64url')
const redeem = (thirdParty: ThirdParty, code: unknown) => thirdParty.redeem(String(code), { code_verifier: undefined })

test('FAPI1A-01 FAPI1A-02 FAPI1A-08 OIDC-01 OIDC-04 a request by value is answered in the fragment with code and ID token, which are bound together', async () => {
  for (const thirdParty of [hybrid, byCertificate]) {
    const consentId = await lodgeAccounts(server, thirdParty.clientId)
    const params = { claims: intentClaim(consentId), state: 'the state', nonce: 'the nonce' }
    const answer = await agreed(await openByValue(thirdParty, params))
    assert.deepEqual(responseOf(answer), { kept: 'yes' })
    const { code = '', id_token, state, ...others } = fragmentOf(answer)
    assert.deepEqual([state, others], ['the state', {}])
    const { sub, iat, exp, auth_time, ...claims } = decoded(id_token)
    assert.deepEqual(claims, {
      ...{ iss: server.issuer, aud: thirdParty.clientId, nonce: 'the nonce', c_hash: half(code), s_hash: half('the state') },
      ...{ acr: 'urn:openbanking:psd2:sca', amr: ['pwd', 'otp'], openbanking_intent_id: consentId },
    })
    assert.match(String(sub), /^psu:/)

    const tokens = await redeem(thirdParty, code)
    assert.equal(tokens.status, 200)
    assert.equal(tokens.json['token_type'], 'Bearer')
    assert.equal(decoded(String(tokens.json['id_token']))['sub'], sub)
    assert.ok((decoded(String(tokens.json['access_token']))['cnf'] as Record<string, string>)['x5t#S256'])
  }
})

test('FAPI1A-08 an app of the bank gets no name in the front channel, whatever it asks for, and gets it at the token endpoint', async () => {
  const app = await ThirdParty.register(server, 'bank-app', { profile: 'fapi1_adv_hybrid', constraint: 'mtls', firstParty: true })
  const request = { scope: 'openid profile accounts:read', claims: JSON.stringify({ id_token: { name: { essential: true } } }) }
  const { customer, page } = await openByValue(app, request)
  const { code, id_token } = fragmentOf(await customer.signIn(page))
  assert.ok(!('name' in decoded(id_token)))
  assert.equal(decoded(String((await redeem(app, code)).json['id_token']))['name'], 'Full ada')
})

test('FAPI1A-02 FAPI1A-09 JARM-01 JARM-03 with JARM the code comes in one signed JWT, in the query or in the fragment', async () => {
  for (const [response_mode, read] of [
    ['jwt', responseOf],
    ['query.jwt', responseOf],
    ['fragment.jwt', fragmentOf],
  ] as const) {
    const answer = await agreed(await openByValue(jarm, { response_mode, state: 's' }))
    const { response, kept: _query, ...others } = read(answer)
    assert.deepEqual(others, {})
    const { code, state, iss, aud } = decoded(response)
    assert.deepEqual([state, iss, aud], ['s', server.issuer, 'jarm'])
    assert.equal((await redeem(jarm, code)).status, 200)
  }
})

test('FAPI1A-05 FAPI1A-01 a pushed request object serves both flows, and its code needs its verifier', async () => {
  for (const [thirdParty, codeOf] of [
    [hybrid, (answer: Answer) => fragmentOf(answer)['code']],
    [jarm, (answer: Answer) => decoded(responseOf(answer)['response'])['code']],
  ] as const) {
    const customer = new CustomerAtBrowser(server, ada)
    const page = await customer.open(thirdParty, await pushed(thirdParty, { claims: await claimsOf(thirdParty) }))
    const code = String(codeOf(await agreed({ customer, page })))
    assert.equal(refusal(await redeem(thirdParty, code)), '400 invalid_grant')
  }
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.open(hybrid, await pushed(hybrid, { claims: await claimsOf(hybrid) }))
  assert.equal((await hybrid.redeem(fragmentOf(await agreed({ customer, page }))['code'] ?? '')).status, 200)
})

test('FAPI1A-05 a request that is pushed needs PKCE with S256', async () => {
  const claims = await claimsOf(hybrid)
  assert.equal(refusal(await hybrid.push({ claims, ...(withoutPkce as object) })), '400 invalid_request')
  assert.equal(refusal(await hybrid.push({ claims, code_challenge_method: 'plain' })), '400 invalid_request')
})

test('FAPI1A-05 by value a challenge may be sent, and then counts', async () => {
  const { code_challenge, code_challenge_method } = hybrid.request()
  const ask = async () => fragmentOf(await agreed(await openByValue(hybrid, { code_challenge, code_challenge_method })))['code'] ?? ''
  assert.equal(refusal(await redeem(hybrid, await ask())), '400 invalid_grant')
  assert.equal((await hybrid.redeem(await ask())).status, 200)
})

test('FAPI1A-01 a client that registered so may push its requests only', async () => {
  const metadata = { require_pushed_authorization_requests: true }
  const pushing = await ThirdParty.register(server, 'pushing', { profile: 'fapi1_adv_hybrid', constraint: 'mtls', metadata })
  const { page } = await openByValue(pushing)
  assert.equal(page.status, 400)
  assert.equal(page.headers['location'], undefined)
})

test('FAPI1A-08 without a state there is none, and no s_hash', async () => {
  const { code, id_token, ...others } = fragmentOf(await agreed(await openByValue(hybrid, { state: undefined })))
  assert.deepEqual(others, {})
  assert.ok(!('s_hash' in decoded(id_token)))
  assert.ok(code)
})

test('FAPI1A-04 JAR-01 what stands beside the request object is ignored', async () => {
  const outside = {
    ...{ state: 'outside', nonce: 'outside', redirect_uri: 'https://evil.example/', response_type: 'code', response_mode: 'query' },
    ...{ scope: 'openid payments', prompt: 'none', login_hint: 'x', claims: '{', resource: 'https://evil.example/' },
  }
  const answer = await agreed(await openByValue(hybrid, { state: 'inside', nonce: 'inside' }, outside))
  assert.ok(answer.headers['location']?.startsWith(`${redirectUri}#`))
  const { state, id_token } = fragmentOf(answer)
  assert.deepEqual([state, decoded(id_token)['nonce']], ['inside', 'inside'])
})

for (const name of ['state', 'nonce', 'redirect_uri', 'scope', 'response_type'] as const)
  test(`FAPI1A-04 FAPI1B-09 FAPI1B-01 a ${name} beside the request object does not stand in for one inside`, async () => {
    const outside = { [name]: hybrid.request()[name] ?? '' }
    const { customer, page } = await openByValue(hybrid, { [name]: undefined }, outside)
    if (name === 'state') return assert.ok(!('state' in fragmentOf(await agreed({ customer, page }))))
    if (page.status === 303) return assert.match(fragmentOf(page)['error'] ?? '', /^invalid_(request|scope)$/)
    assert.equal(page.status, 400)
    assert.equal(page.headers['location'], undefined)
  })

test('FAPI1B-09 without openid the state is needed', async () => {
  const answer = await openByValue(jarm, { scope: 'accounts', state: undefined, nonce: undefined, claims: undefined })
  assert.equal(decoded(responseOf(answer.page)['response'])['error'], 'invalid_request')
  const authorization_details = [{ type: 'openbanking_consent', consent_id: await lodgeAccounts(server, 'jarm') }]
  const plain = { scope: 'accounts', nonce: undefined, claims: undefined, authorization_details }
  const withState = await agreed(await openByValue(jarm, plain))
  const tokens = await redeem(jarm, decoded(responseOf(withState)['response'])['code'])
  assert.deepEqual([tokens.status, tokens.json['scope'], tokens.json['id_token']], [200, 'accounts', undefined])
})

const faulty: readonly (readonly [string, () => Record<string, unknown>])[] = [
  ['FAPI1A-06 no exp', () => ({ exp: undefined })],
  ['FAPI1A-06 no nbf', () => ({ nbf: undefined })],
  ['FAPI1A-06 no aud', () => ({ aud: undefined })],
  ['FAPI1A-06 another aud', () => ({ aud: 'https://other.example' })],
  ['FAPI1A-06 an exp in the past', () => ({ nbf: now() - 600, exp: now() - 60 })],
  ['FAPI1A-06 an exp 70 minutes after nbf', () => ({ exp: now() + 4_200 })],
  ['FAPI1A-06 an nbf 70 minutes ago', () => ({ nbf: now() - 4_200, exp: now() + 60 })],
  ['JAR-01 another iss', () => ({ iss: 'jarm' })],
  ['JAR-01 another client_id', () => ({ client_id: 'jarm' })],
  ['JAR-02 a request inside', () => ({ request: 'x' })],
  ['JAR-02 JAR-04 a request_uri inside', () => ({ request_uri: 'https://internal.example/' })],
  ['BCP-02 FAPI1B-01 another redirect_uri', () => ({ redirect_uri: 'https://evil.example/' })],
  ['BCP-01 FAPI1B-01 a longer redirect_uri', () => ({ redirect_uri: `${redirectUri}/more` })],
]
for (const [what, params] of faulty)
  test(`${what}: by value it is answered with a page, never by redirect, and pushed with 400`, async () => {
    const { page } = await openByValue(hybrid, { claims: await claimsOf(hybrid), ...params() })
    assert.equal(page.status, 400)
    assert.equal(page.headers['location'], undefined)
    const answer = await hybrid.push({ claims: await claimsOf(hybrid), ...(params() as object) })
    assert.match(refusal(answer), /^400 invalid_request(_object)?$/)
  })

test('OIDC-03 OIDC-04 JAR-01 claims are an object inside a request object, or the text of one', async () => {
  const consentId = await lodgeAccounts(server, 'hybrid')
  const acr = { essential: true, values: ['urn:openbanking:psd2:sca', 'urn:openbanking:psd2:ca'] }
  const claims = JSON.parse(intentClaim(consentId, { acr })) as object
  const { id_token } = fragmentOf(await agreed(await openByValue(hybrid, { claims, max_age: 0 })))
  const { acr: reached, openbanking_intent_id } = decoded(id_token)
  assert.deepEqual([reached, openbanking_intent_id], ['urn:openbanking:psd2:sca', consentId])
  const unreachable = { ...claims, id_token: { acr: { essential: true, value: 'urn:mace:incommon:iap:bronze' } } }
  const { page } = await openByValue(hybrid, { claims: unreachable })
  assert.match(fragmentOf(page)['error'] ?? '', /^(unmet_authentication_requirements|access_denied|invalid_request)$/)
})

test('OIDC-02 a request by value with prompt none is answered in the fragment when nobody is signed in', async () => {
  const { page } = await openByValue(hybrid, { prompt: 'none', state: 's' })
  const { error, state, iss } = fragmentOf(page)
  assert.deepEqual([error, state, iss], ['login_required', 's', server.issuer])
})

test('FAPI1A-06 a request object for several audiences is accepted', async () => {
  const answer = await agreed(await openByValue(hybrid, { aud: [server.issuer, 'https://other.example'] }))
  assert.ok(fragmentOf(answer)['code'])
})

test('FAPI1A-01 FAPI1A-12 an unsigned, forged or foreign request object by value leads to a page, never to a redirect', async () => {
  const stranger = await generateKeyPair('ES256')
  const claims = await claimsOf(hybrid)
  const [header, payload] = (await hybrid.requestObject({ claims })).split('.')
  const parameters = { ...hybrid.request(), claims, iss: 'hybrid', aud: server.issuer, nbf: now(), exp: now() + 60 }
  const forged = [
    new UnsecuredJWT(parameters).encode(),
    await hybrid.requestObject({ claims }, {}, stranger.privateKey),
    await hybrid
      .requestObject({ claims }, {}, jarm.signingKey)
      .catch(() => jarm.requestObject({ client_id: 'hybrid', iss: 'hybrid', claims })),
    await jarm.requestObject({ claims: await claimsOf(jarm) }),
    `${header}.${payload}.${Buffer.alloc(64, 1).toString('base64url')}`,
    'x.y.z',
    '',
  ]
  for (const request of forged) {
    const { page } = await openObject(hybrid, request)
    assert.equal(page.status, 400, request)
    assert.equal(page.headers['location'], undefined)
  }
})

test('JAR-03 PAR-05 a request object or assertion that is nested too deep to be copied is refused, not a fault', async () => {
  const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
  const unsigned = (claims: string) =>
    `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.${Buffer.from(`{"claims":${claims}}`).toString('base64url')}.AA`
  for (const depth of [20, 5_800]) {
    const { page } = await openObject(hybrid, unsigned(deep(depth)))
    assert.deepEqual([page.status, page.headers['location']], [400, undefined])
    assert.equal(refusal(await hybrid.post('/par', { client_id: 'hybrid', request: unsigned(deep(depth)) })), '400 invalid_request_object')
  }
  const client_assertion = await hybrid.assertion({ extra: JSON.parse(deep(20)) })
  assert.equal(refusal(await hybrid.token({ grant_type: 'client_credentials', client_assertion })), '401 invalid_client')
  assert.ok(!server.logged.some((line) => line.includes('"msg":"fault"')))
})

test('FAPI1A-01 plain parameters, by value or pushed, are refused', async () => {
  const claims = await claimsOf(hybrid)
  const answer = await new Browser(server).get(`/auth?${new URLSearchParams({ ...hybrid.request(), claims })}`)
  assert.equal(answer.status, 400)
  assert.equal(answer.headers['location'], undefined)
  assert.equal(refusal(await hybrid.post('/par', { ...hybrid.request(), claims })), '400 invalid_request')
})

test('FAPI1A-01 JAR-03 request and request_uri together, or twice, are refused', async () => {
  const request = await hybrid.requestObject({ claims: await claimsOf(hybrid) })
  const request_uri = await pushed(hybrid, { claims: await claimsOf(hybrid) })
  const both = new URLSearchParams({ client_id: 'hybrid', request, request_uri })
  const twice = new URLSearchParams([...new URLSearchParams({ client_id: 'hybrid', request }), ['request', request]])
  for (const query of [both, twice]) assert.equal((await new Browser(server).get(`/auth?${query}`)).status, 400)
})

test('JAR-04 BCP-02 a request_uri that leads elsewhere is not fetched', async () => {
  for (const request_uri of ['https://internal.example/', 'http://169.254.169.254/', 'urn:ietf:params:oauth:request_uri:x']) {
    const query = new URLSearchParams({ client_id: 'hybrid', request_uri })
    const answer = await new Browser(server).get(`/auth?${query}`)
    assert.deepEqual([answer.status, answer.headers['location']], [400, undefined])
  }
})

const downgrades: readonly (readonly [string, Record<string, string>])[] = [
  ['response_mode query', { response_mode: 'query' }],
  ['response_mode form_post', { response_mode: 'form_post' }],
  ['response_mode jwt', { response_mode: 'jwt' }],
  ['response_mode query.jwt', { response_mode: 'query.jwt' }],
  ['response_type code', { response_type: 'code' }],
  ['response_type id_token', { response_type: 'id_token' }],
  ['response_type code token', { response_type: 'code token' }],
  ['response_type code id_token token', { response_type: 'code id_token token' }],
]
for (const [what, params] of downgrades)
  test(`FAPI1A-02 BCP-03 ${what} is refused to a hybrid client, in the fragment; pushed with 400`, async () => {
    const { page } = await openByValue(hybrid, { ...params, state: 's' })
    assert.deepEqual(responseOf(page), { kept: 'yes' })
    const { error, state } = fragmentOf(page)
    assert.match(error ?? '', /^(invalid_request|unsupported_response_(type|mode))$/)
    assert.equal(state, 's')
    assert.match(
      refusal(await hybrid.push({ claims: await claimsOf(hybrid), ...params })),
      /^400 (invalid_request|unsupported_response_type)$/,
    )
  })

for (const [response_mode, read] of [
  ['query', responseOf],
  [undefined, responseOf],
  ['fragment', fragmentOf],
] as const)
  test(`FAPI1A-02 FAPI1A-09 response_mode ${response_mode} is refused to a JARM client, in the way that it can read`, async () => {
    const { page } = await openByValue(jarm, { response_mode, state: 's' })
    const { error, state, iss, error_description: _text, kept: _query, ...others } = read(page)
    assert.deepEqual([error, state, iss, others], ['invalid_request', 's', server.issuer, {}])
  })

test('FAPI1A-02 FAPI1A-09 response_mode form_post is refused to a JARM client by a signed response', async () => {
  const { page } = await openByValue(jarm, { response_mode: 'form_post' })
  const { response, kept: _query, ...others } = responseOf(page)
  assert.deepEqual(others, {})
  assert.match(String(decoded(response)['error']), /^(invalid_request|unsupported_response_mode)$/)
})

test('JAR-01 FAPI1A-04 a request object of a hybrid client opens nothing for a client of another profile, and the other way round', async () => {
  const ofFapi2 = await fapi2.requestObject({ claims: await claimsOf(fapi2) })
  for (const [thirdParty, request] of [
    [fapi2, ofFapi2],
    [hybrid, ofFapi2],
    [fapi2, await hybrid.requestObject({ claims: await claimsOf(hybrid) })],
  ] as const) {
    const { page } = await openObject(thirdParty, request)
    assert.deepEqual([page.status, page.headers['location']], [400, undefined], thirdParty.clientId)
  }
})

test('PAR-06 a pushed request of a hybrid client is not opened by another client', async () => {
  const requestUri = await pushed(hybrid, { claims: await claimsOf(hybrid) })
  for (const thirdParty of [fapi2, jarm]) assert.equal((await new CustomerAtBrowser(server, ada).open(thirdParty, requestUri)).status, 400)
})

test('FAPI1A-02 FAPI2-AZ-01 no client of another profile gets an ID token in the front channel', async () => {
  for (const thirdParty of [fapi2, jarm])
    assert.match(
      refusal(await thirdParty.push({ claims: await claimsOf(thirdParty), response_type: 'code id_token' })),
      /^400 (invalid_request|unsupported_response_type)$/,
    )
})

test('FAPI1A-03 FAPI1A-10 without a certificate there is no token, and a proof instead is none', async () => {
  const { code } = fragmentOf(await agreed(await openByValue(hybrid)))
  const form = { grant_type: 'authorization_code', code, redirect_uri: redirectUri }
  const none = { credential: undefined as never, headers: {} }
  assert.equal(refusal(await hybrid.post('/token', form, none)), '400 invalid_request')
  const headers = { dpop: await hybrid.proof(`${server.mtlsIssuer}/token`) }
  assert.equal(refusal(await hybrid.post('/token', form, { ...none, headers })), '400 invalid_request')
})

test('FAPI1B-02 FAPI1B-05 without signing in and agreeing there is no code, whoever goes the way back early', async () => {
  const { customer, page } = await openByValue(hybrid)
  const { action } = formOf(page)
  const back = `/auth/${action.split('/').at(-1)}`
  const answer = await customer.browser.follow(await customer.browser.get(back))
  assert.equal(answer.status, 200)
  assert.match(answer.text, /Sign in/)
  const choose = await customer.signIn(answer)
  assert.match(choose.text, /Client hybrid/)
  const early = await customer.browser.follow(await customer.browser.get(back))
  assert.deepEqual([early.status, early.headers['location']], [400, undefined])
  assert.ok(fragmentOf(await customer.agree(choose, ada.accounts.slice(0, 1)))['code'])
})

test('FAPI1B-04 FAPI1B-07 AT-04 a token is short, says its scope, and names nobody', async () => {
  const { code } = fragmentOf(await agreed(await openByValue(hybrid)))
  const { json } = await redeem(hybrid, code)
  assert.equal(json['scope'], 'openid accounts')
  assert.ok(Number(json['expires_in']) < 600)
  const claims = decoded(String(json['access_token']))
  const known = ['acr', 'aud', 'auth_time', 'client_id', 'cnf', 'consent_id', 'exp', 'grant_id', 'iat', 'iss', 'jti', 'scope', 'sub']
  assert.deepEqual(
    Object.keys(claims).filter((name) => !known.includes(name)),
    [],
  )
  assert.match(String(claims['sub']), /^psu:/)
  for (const personal of [ada.username, 'Full ada', ada.customerId, ...ada.accounts]) assert.ok(!JSON.stringify(claims).includes(personal))
})

test('FAPI1B-03 a code used twice is refused, and one of another client', async () => {
  const { code } = fragmentOf(await agreed(await openByValue(hybrid)))
  assert.equal(refusal(await redeem(byCertificate, code)), '400 invalid_grant')
  assert.equal((await redeem(hybrid, code)).status, 200)
  assert.equal(refusal(await redeem(hybrid, code)), '400 invalid_grant')
})

test('FAPI1B-06 two ways to say who the client is must agree', async () => {
  const { code } = fragmentOf(await agreed(await openByValue(hybrid)))
  const answer = await hybrid.post('/token', { grant_type: 'authorization_code', code, redirect_uri: redirectUri, client_id: 'jarm' })
  assert.match(refusal(answer), /^40[01] invalid_(client|grant)$/)
})

test('FAPI1A-08 OIDC-04 the consent of another client, or none, is refused by value and pushed', async () => {
  for (const claims of [await claimsOf(jarm), intentClaim(`con_${'0'.repeat(32)}`), undefined]) {
    const { page } = await openByValue(hybrid, { claims })
    assert.equal(fragmentOf(page)['error'], 'invalid_request')
    assert.equal(refusal(await hybrid.push({ claims })), '400 invalid_request')
  }
})

test('FAPI1A-13 a payment is authorised by value, and nothing is paid by it', async () => {
  const consentId = await lodgePayment(server, 'hybrid')
  const { customer, page } = await openByValue(hybrid, { scope: 'openid payments', claims: intentClaim(consentId) })
  const confirm = await customer.signIn(page)
  const { code } = fragmentOf(await customer.submit(confirm, { action: 'confirm', account: [ada.accounts[0] ?? ''] }))
  assert.equal((await redeem(hybrid, code)).status, 200)
  assert.equal((await readConsent(server, consentId)).status, 'AUTH')
})

test('FAPI1A-04 a request object that is opened twice authorises its consent once', async () => {
  const request = await hybrid.requestObject({
    ...withoutPkce,
    scope: 'openid payments',
    claims: intentClaim(await lodgePayment(server, 'hybrid')),
  })
  const [one, two] = [await openObject(hybrid, request), await openObject(hybrid, request)]
  const pages = [await one.customer.signIn(one.page), await two.customer.signIn(two.page)] as const
  const answers = await Promise.all(
    [one, two].map(({ customer }, index) =>
      customer.submit(pages[index] as Answer, { action: 'confirm', account: [ada.accounts[0] ?? ''] }),
    ),
  )
  assert.deepEqual(answers.map(({ status }) => status).sort(), [303, 400])
})

const audiences: readonly (readonly [string, () => unknown])[] = [
  ['the issuer', () => server.issuer],
  ['the token endpoint', () => `${server.issuer}/token`],
  ['the token endpoint of the alias', () => `${server.mtlsIssuer}/token`],
  ['an array with the issuer', () => [server.issuer, 'https://other.example']],
  ['an array with the token endpoint', () => ['https://other.example', `${server.mtlsIssuer}/token`]],
]
for (const [what, aud] of audiences)
  test(`FAPI1A-07 ${what} is a good audience of an assertion, at the token endpoint and at PAR`, async () => {
    const cc = { grant_type: 'client_credentials', scope: 'accounts' }
    assert.equal((await hybrid.token({ ...cc, client_assertion: await hybrid.assertion({ aud: aud() }) })).status, 200)
    const request = await hybrid.requestObject({ claims: await claimsOf(hybrid) })
    const form = { client_id: 'hybrid', request, client_assertion: await hybrid.assertion({ aud: aud() }) }
    assert.equal((await hybrid.post('/par', form)).status, 201)
  })

test('FAPI1A-07 an assertion for PAR is good there, under either name, and not at the token endpoint', async () => {
  for (const origin of [server.issuer, server.mtlsIssuer]) {
    const request = await hybrid.requestObject({ claims: await claimsOf(hybrid) })
    const assertion = () => hybrid.assertion({ aud: `${origin}/par` })
    assert.equal((await hybrid.post('/par', { client_id: 'hybrid', request, client_assertion: await assertion() })).status, 201)
    const cc = { grant_type: 'client_credentials', scope: 'accounts' }
    assert.equal(refusal(await hybrid.token({ ...cc, client_assertion: await assertion() })), '401 invalid_client')
  }
})

test('FAPI1A-07 another audience, the origin of the alias, another sub or iss is refused', async () => {
  const cc = { grant_type: 'client_credentials', scope: 'accounts' }
  for (const claims of [
    { aud: 'https://other.example' },
    { aud: server.mtlsIssuer },
    { aud: ['https://other.example'] },
    { iss: 'jarm' },
    { sub: 'jarm' },
  ])
    assert.match(
      refusal(await hybrid.token({ ...cc, client_assertion: await hybrid.assertion(claims) })),
      /^40[01] invalid_(client|request)$/,
    )
})
