/** What the backchannel endpoint takes and refuses: the modules of the OpenID Foundation's FAPI-CIBA plan, one by one, and what the UK adds. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from '@bankside/service-kit/postgres'
import { generateKeyPair, SignJWT } from 'jose'
import { refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, lodgePayment, readConsent, type TestCustomer } from './testing/bank-fixtures.ts'
import { CibaClient, cibaGrant, intent } from './testing/ciba-client.ts'
import { openLatest, signedInAtDashboard } from './testing/dashboard-customer.ts'
import { type Answer, exchange } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { random, ThirdParty } from './testing/third-party.ts'

let server: TestServer
let ada: TestCustomer
let acorn: CibaClient
let birch: CibaClient
let tls: CibaClient
let desk: CibaClient

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  acorn = await CibaClient.register(server, 'acorn')
  birch = await CibaClient.register(server, 'birch')
  tls = await CibaClient.register(server, 'cedar', { authentication: 'tls_client_auth' })
  desk = await CibaClient.register(server, 'desk', { firstParty: true })
})
after(() => server.stop())

const now = () => Math.floor(Date.now() / 1000)
let customers = 0
/** Somebody whom nobody has asked yet. */
const somebody = () => enterCustomer(server, `somebody-${++customers}`)
const consentOf = (client: CibaClient) => lodgeAccounts(server, client.clientId)

const faults: readonly (readonly [string, Record<string, unknown>, Record<string, unknown>?])[] = [
  ['CIBA-04 a request object without aud', { aud: undefined }],
  ['CIBA-04 a request object for another server', { aud: 'https://elsewhere.example' }],
  ['CIBA-04 a request object for the endpoint instead of the issuer', { aud: 'https://localhost/backchannel' }],
  ['CIBA-04 a request object without iss', { iss: undefined }],
  ['CIBA-04 a request object of another issuer', { iss: 'birch' }],
  ['CIBA-04 a request object without exp', { exp: undefined }],
  ['CIBA-04 a request object that has expired', { exp: now() - 60 }],
  ['CIBA-04 a request object that expires in 70 minutes', { exp: now() + 4_200 }],
  ['CIBA-04 a request object without iat', { iat: undefined }],
  ['CIBA-04 a request object that is dated ahead', { iat: now() + 600 }],
  ['CIBA-04 a request object without nbf', { nbf: undefined }],
  ['CIBA-04 a request object whose nbf is 10 minutes ahead', { nbf: now() + 600, exp: now() + 900 }],
  ['CIBA-04 a request object whose nbf was 70 minutes ago', { nbf: now() - 4_200 }],
  ['CIBA-04 a request object without jti', { jti: undefined }],
  ['CIBA-04 a request object whose jti is no text', { jti: 7 }],
  ['CIBA-04 a JWT of another purpose', {}, { typ: 'client-authentication+jwt' }],
  ['CIBA-08 two hints', { id_token_hint: 'eyJhbGciOiJFUzI1NiJ9.e30.x' }],
  ['CIBA-08 no hint', { login_hint: undefined }],
  ['CIBA-12 a hint of a kind that is not supported', { login_hint: undefined, login_hint_token: 'eyJhbGciOiJub25lIn0.e30.' }],
  ['CIBA-12 an id_token_hint that is none', { login_hint: undefined, id_token_hint: 'x.y.z' }],
  ['CIBA-06 CIBA-12 a login_hint longer than any name', { login_hint: 'a'.repeat(255) }],
  ['UKDCR-11 a user code', { user_code: '1234' }],
  ['CIBA-09 an expiry of nothing', { requested_expiry: 0 }],
  ['CIBA-09 an expiry before the beginning', { requested_expiry: -5 }],
  ['CIBA-09 an expiry that is no number', { requested_expiry: 'soon' }],
]
for (const [what, claims, header] of faults)
  test(`${what} is refused: invalid_request`, async () => {
    const asked = { login_hint: ada.username, ...intent(await consentOf(acorn)), ...claims }
    assert.equal(refusal(await acorn.ask(asked, { header: header ?? {} })), '400 invalid_request')
  })

test('CIBA-04 RW-TOK-12 without a signed request, with another’s signature, a broken one, none, RS256, or by another algorithm than registered: invalid_request', async () => {
  const asked = { login_hint: ada.username, ...intent(await consentOf(acorn)) }
  const unsigned = await acorn.thirdParty.post('/backchannel', {
    scope: 'openid accounts',
    login_hint: ada.username,
    binding_message: '1234',
  })
  const signed = await acorn.sign(asked)
  const none = [{ alg: 'none' }, acorn.claims(asked)].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  const { privateKey: rsa } = await generateKeyPair('RS256', { extractable: true })
  const rs256 = await new SignJWT(acorn.claims(asked)).setProtectedHeader({ alg: 'RS256', kid: 'first' }).sign(rsa)
  const ofBirch = await new SignJWT(acorn.claims(asked))
    .setProtectedHeader({ alg: 'ES256', kid: 'first' })
    .sign(birch.thirdParty.signingKey)
  const broken = `${signed.slice(0, -6)}${signed.slice(-6).split('').toReversed().join('')}`
  for (const request of [`${none}.`, rs256, ofBirch, broken, 'x.y.z', ''])
    assert.equal(refusal(await acorn.ask({}, { fields: { request } })), '400 invalid_request', request.slice(0, 40))
  assert.equal(refusal(unsigned), '400 invalid_request')
  const { publicKey: _, privateKey } = await generateKeyPair('ES256')
  const mine = await new SignJWT(acorn.claims(asked)).setProtectedHeader({ alg: 'ES256', kid: 'first' }).sign(privateKey)
  assert.equal(refusal(await acorn.ask({}, { fields: { request: mine } })), '400 invalid_request')
})

test('CIBA-04 what stands beside the signed request is dropped: it changes nothing', async () => {
  const eve = await somebody()
  const consentId = await consentOf(acorn)
  const beside = { fields: { scope: 'openid payments', login_hint: eve.username, binding_message: 'OTHER' } }
  const answer = await acorn.ask({ login_hint: (await somebody()).username, ...intent(consentId) }, beside)
  assert.equal(answer.status, 200, answer.text)
  const at = await signedInAtDashboard(server, eve)
  assert.match((await at.browser.get('/connected-accounts/requests')).text, /Nothing is waiting/)
})

test('CIBA-04 a signed request is taken once: sent again it is refused, and eight at once bring one prompt', async () => {
  const bob = await somebody()
  const request = await acorn.sign({ login_hint: bob.username, ...intent(await consentOf(acorn)) })
  const answers = await Promise.all(Array.from({ length: 8 }, () => acorn.ask({}, { fields: { request } })))
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
  assert.equal(refusal(await acorn.ask({}, { fields: { request } })), '400 invalid_request')
})

test('CIBA-09 the answer: an id of 256 bits in URL-safe letters, its life, the interval; nothing is kept by caches', async () => {
  const answer = await acorn.ask({ login_hint: (await somebody()).username, ...intent(await consentOf(acorn)) })
  assert.equal(answer.status, 200, answer.text)
  assert.deepEqual(Object.keys(answer.json).sort(), ['auth_req_id', 'expires_in', 'interval'])
  assert.match(String(answer.json['auth_req_id']), /^[A-Za-z0-9_-]{43,}$/)
  assert.deepEqual([answer.json['expires_in'], answer.json['interval']], [300, 5])
  assert.match(answer.headers['cache-control'] ?? '', /no-store/)
  const [kept] = await server.owner.any(sql.unsafe`
    select encode(id_hash, 'base64') as hash, payload, answer from oidc.backchannel_authentication_request order by created_at desc limit 1`)
  assert.doesNotMatch(JSON.stringify(kept), new RegExp(String(answer.json['auth_req_id'])))
})

test('CIBA-09 requested_expiry is honoured as number and as text, within ten minutes', async () => {
  for (const [asked, given] of [
    [10, 10],
    ['300', 300],
    [300, 300],
    [86_400, 600],
  ] as const) {
    const answer = await acorn.ask({
      login_hint: (await somebody()).username,
      requested_expiry: asked,
      ...intent(await consentOf(acorn)),
    })
    assert.equal(answer.json['expires_in'], given, answer.text)
  }
})

test('CIBA-02 CIBA-13 binding messages: 1 to 20 plain characters, or invalid_binding_message', async () => {
  for (const message of ['1234', 'TILL 3', 'a', 'A'.repeat(20), 'W4SCT/9+x!?#._-'])
    assert.equal((await acorn.ask(await question({ binding_message: message }))).status, 200, message)
  for (const message of ['A'.repeat(21), ' 12', '12 ', '1234 👍🏿 品川 Lorem ipsum', '<b>', 'é', '12\n34', '\u202e1234', 'a"b'])
    assert.equal(refusal(await acorn.ask(await question({ binding_message: message }))), '400 invalid_binding_message', message)
  const without = await acorn.ask(await question({ binding_message: undefined }))
  assert.equal(without.status, 200, 'a consent is unique by itself')
})

const question = async (claims: Record<string, unknown> = {}, client = acorn) => ({
  login_hint: (await somebody()).username,
  ...intent(await consentOf(client)),
  ...claims,
})

test('CIBA-07 a request_context is neither needed nor looked at', async () => {
  for (const request_context of ['{"device":"till"}', { device: 'till' }, 'x'.repeat(2_000), undefined])
    assert.equal((await acorn.ask(await question({ request_context }))).status, 200)
})

test('CIBA-02 an app of the bank names no consent, so it must give a binding message', async () => {
  const asked = { scope: 'openid accounts:read', login_hint: (await somebody()).username }
  assert.equal(refusal(await desk.ask({ ...asked, binding_message: undefined })), '400 invalid_request')
  assert.equal((await desk.ask(asked)).status, 200)
  assert.equal(refusal(await acorn.ask({ login_hint: ada.username })), '400 invalid_request', 'a third party cannot do without a consent')
})

test('CIBA-02 the order of scope words does not matter; openid must be there, and no more than the consent is for', async () => {
  assert.equal((await acorn.ask(await question({ scope: 'accounts openid' }))).status, 200)
  assert.match(refusal(await acorn.ask(await question({ scope: 'accounts' }))), /^400 invalid_(scope|request)$/)
  for (const scope of ['openid', 'openid payments', 'openid accounts payments', 'openid accounts:read'])
    assert.equal(refusal(await acorn.ask(await question({ scope }))), '400 invalid_scope', scope)
  assert.equal(refusal(await acorn.ask(await question({ scope: undefined }))), '400 invalid_request')
})

test('CIBA-12 RW-TOK-07 the intent by claim, by member of the request, by detail; two that differ are refused', async () => {
  const [one, other] = [await consentOf(acorn), await consentOf(acorn)]
  const detail = (consentId: string) => ({ authorization_details: [{ type: 'openbanking_consent', consent_id: consentId }] })
  const member = (consentId: string) => ({ 'openbanking-intent-id': consentId })
  const ask = async (...parts: Record<string, unknown>[]) =>
    acorn.ask(Object.assign({ login_hint: (await somebody()).username }, ...parts) as Record<string, unknown>)
  for (const parts of [[member(await consentOf(acorn))], [detail(await consentOf(acorn))], [intent(one), member(one), detail(one)]])
    assert.equal((await ask(...parts)).status, 200)
  for (const parts of [
    [intent(one), member(other)],
    [detail(one), member(other)],
    [intent(one), detail(other)],
    [{ 'openbanking-intent-id': 7 }],
  ])
    assert.equal(refusal(await ask(...parts)), '400 invalid_request')
})

test('CIBA-12 a consent of another client, an unknown one, one that is decided: invalid_request', async () => {
  const ofBirch = await consentOf(birch)
  const deleted = await consentOf(acorn)
  await server.owner.query(sql.unsafe`update consents.consent set deleted_at = now() where consent_id = ${deleted}`)
  for (const consentId of [ofBirch, `con_${'0'.repeat(32)}`, 'no consent', deleted])
    assert.equal(refusal(await acorn.ask({ login_hint: ada.username, ...intent(consentId) })), '400 invalid_request', consentId)
})

test('CIBA-12 one open request per consent: the second is refused, of eight at once one is taken, and after the end of the first another', async () => {
  const bob = await somebody()
  const consentId = await consentOf(acorn)
  const asked = { login_hint: bob.username, ...intent(consentId) }
  const answers = await Promise.all(Array.from({ length: 4 }, () => acorn.ask(asked)))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 400, 400, 400])
  assert.equal(refusal(await acorn.ask({ ...asked, login_hint: (await somebody()).username })), '400 invalid_request', 'whoever is asked')
  await server.owner.query(
    sql.unsafe`update oidc.backchannel_authentication_request set expires_at = now() - interval '1 second' where consent_id = ${consentId}`,
  )
  assert.equal((await acorn.ask(asked)).status, 200)
})

test('CIBA-12 a consent that one customer gave is not asked of another', async () => {
  const [bob, eve] = [await somebody(), await somebody()]
  const consentId = await consentOf(acorn)
  await acorn.asked({ login_hint: bob.username, ...intent(consentId) })
  const at = await signedInAtDashboard(server, bob)
  await at.agree(await openLatest(at), bob.accounts.slice(0, 1))
  assert.equal((await readConsent(server, consentId)).status, 'AUTH')
  assert.equal(refusal(await acorn.ask({ login_hint: eve.username, ...intent(consentId) })), '400 invalid_request')
  assert.equal((await acorn.ask({ login_hint: bob.username, ...intent(consentId) })).status, 200, 'the same customer may renew it')
})

test('CIBA-08 CIBA-12 hints: user name, e-mail address in any case, sub, id_token_hint; the same customer is asked', async () => {
  const bob = await somebody()
  const id = await acorn.asked({ login_hint: bob.username, ...intent(await consentOf(acorn)) })
  const at = await signedInAtDashboard(server, bob)
  await at.agree(await openLatest(at), bob.accounts.slice(0, 1))
  const tokens = await acorn.poll(id)
  const idToken = String(tokens.json['id_token'])
  const { sub } = JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString('utf8')) as { sub: string }
  assert.match(sub, /^psu:/)
  for (const hint of [
    { login_hint: ` ${bob.username.toUpperCase()}` },
    { login_hint: `${bob.username}@Example.com` },
    { login_hint: sub },
    { id_token_hint: idToken },
  ]) {
    const answer = await acorn.ask({ ...hint, ...intent(await consentOf(acorn)) })
    assert.equal(answer.status, 200, `${JSON.stringify(hint).slice(0, 40)} ${answer.text}`)
    const page = await openLatest(at)
    assert.match(page.text, /Client acorn/)
    await at.agree(page, bob.accounts.slice(0, 1))
  }
  const another = { ...intent(await consentOf(birch)) }
  assert.equal(
    refusal(await birch.ask({ login_hint: sub, ...another })),
    '400 unknown_user_id',
    'a sub is one client’s name for a customer',
  )
  assert.equal(refusal(await birch.ask({ id_token_hint: idToken, ...another })), '400 invalid_request', 'and so is an ID token')
})

test('CIBA-12 an unknown name is unknown_user_id, as CIBA has it, and on record; nothing else is told', async () => {
  const names = [
    'nobody',
    'nobody@example.com',
    'psu:AAAAAAAAAAAAAAAAAAAAAA',
    'cus_00000000000000000000000000000000',
    'con_1',
    '%',
    "' or true --",
  ]
  const answers: Answer[] = []
  for (const login_hint of names) answers.push(await acorn.ask({ login_hint, ...intent(await consentOf(acorn)) }))
  assert.deepEqual([...new Set(answers.map(({ status, text }) => `${status} ${text}`))].length, 1, answers.map(({ text }) => text).join())
  assert.equal(refusal(answers[0] as Answer), '400 unknown_user_id')
  const [record] = await server.owner.any(sql.unsafe`
    select actor, subject, details::text from audit.record where action = 'customer.not_found_by_hint' limit 1`)
  assert.match(JSON.stringify(record), /acorn/)
  assert.doesNotMatch(JSON.stringify(record), /nobody/)
})

test('CIBA-12 an e-mail address that is not verified, or of two customers, names nobody', async () => {
  const [one, two, three] = [await somebody(), await somebody(), await somebody()]
  await server.owner.query(
    sql.unsafe`update customers.customer set email = 'shared@example.com' where customer_id in (${one.customerId}, ${two.customerId})`,
  )
  await server.owner.query(sql.unsafe`update customers.customer set email_verified = false where customer_id = ${three.customerId}`)
  for (const login_hint of ['shared@example.com', `${three.username}@example.com`])
    assert.equal(refusal(await acorn.ask({ login_hint, ...intent(await consentOf(acorn)) })), '400 unknown_user_id')
})

test('CIBA-05 acr_values: what can be reached is taken, what cannot is refused', async () => {
  assert.equal((await acorn.ask(await question({ acr_values: 'urn:openbanking:psd2:sca' }))).status, 200)
  assert.equal(
    refusal(await acorn.ask(await question({ acr_values: 'urn:mace:incommon:iap:platinum' }))),
    '400 unmet_authentication_requirements',
  )
})

test('CIBA-01 OIDC-13 client assertions at the endpoint: for issuer, token endpoint or this endpoint, under either name; no other, no RS256, none missing', async () => {
  const { issuer, mtlsIssuer } = server
  for (const aud of [issuer, `${issuer}/token`, `${mtlsIssuer}/token`, `${issuer}/backchannel`, `${mtlsIssuer}/backchannel`, [issuer]]) {
    const client_assertion = await acorn.thirdParty.assertion({ aud })
    const answer = await acorn.ask(await question(), { fields: { client_assertion } })
    assert.equal(answer.status, 200, `${aud} ${answer.text}`)
  }
  for (const client_assertion of [
    await acorn.thirdParty.assertion({ aud: `${issuer}/par` }),
    await acorn.thirdParty.assertion({ aud: 'https://elsewhere.example' }),
    await birch.thirdParty.assertion(),
  ])
    assert.match(refusal(await acorn.ask(await question(), { fields: { client_assertion } })), /^40[01] invalid_(client|request)$/)
  const { privateKey: rsa } = await generateKeyPair('RS256', { extractable: true })
  const claims = { iss: 'acorn', sub: 'acorn', aud: issuer, jti: random(), iat: now(), exp: now() + 60 }
  const rs256 = await new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'first' }).sign(rsa)
  assert.match(refusal(await acorn.ask(await question(), { fields: { client_assertion: rs256 } })), /^40[01] invalid_client$/)
  const missing = { client_assertion: undefined, client_assertion_type: undefined }
  assert.match(refusal(await acorn.ask(await question(), { fields: { ...missing, client_id: 'acorn' } })), /^40[01] invalid_client$/)
  assert.match(refusal(await acorn.ask(await question(), { fields: missing })), /^40[01] invalid_(client|request)$/)
})

test('CIBA-01 tls_client_auth: the certificate is the client’s, on the twin; another client’s id or request object is refused', async () => {
  assert.equal((await tls.ask(await question({}, tls))).status, 200)
  assert.equal(
    refusal(await tls.ask(await question({}, tls), { fields: { client_id: 'acorn' } })),
    '401 invalid_client',
    'the id of a client that signs',
  )
  const other = await CibaClient.register(server, 'dogwood', { authentication: 'tls_client_auth' })
  const ofTls = await tls.sign(await question({}, tls))
  assert.equal(refusal(await other.ask({}, { fields: { request: ofTls } })), '400 invalid_request', 'the request of another')
  const stolen = await tls.ask({}, { fields: { request: ofTls, client_id: 'dogwood' } })
  assert.equal(refusal(stolen), '401 invalid_client', 'the certificate of another')
  const bare = await exchange(`${server.issuer}/backchannel`, {
    ca: server.ca,
    form: { client_id: 'cedar', request: await tls.sign(await question({}, tls)) },
  })
  assert.equal(refusal(bare), '401 invalid_client', 'no certificate')
})

test('CIBA-01 CIBA-03 whoever is no client of CIBA does not get in, and a client of CIBA has no front channel', async () => {
  const other = await ThirdParty.register(server, 'elder', { constraint: 'mtls' })
  const request = await new SignJWT(
    acorn.claims({ iss: 'elder', login_hint: ada.username, ...intent(await lodgeAccounts(server, 'elder')) }),
  )
    .setProtectedHeader({ alg: 'ES256', kid: 'first' })
    .sign(other.signingKey)
  assert.equal(refusal(await other.post('/backchannel', { request })), '400 invalid_request')
  assert.equal(refusal(await other.token({ grant_type: cibaGrant, auth_req_id: 'x' })), '400 unauthorized_client')
  assert.match(
    refusal(await acorn.thirdParty.push({ request: await acorn.sign({}) })),
    /^400 (invalid_request|invalid_request_object|unauthorized_client)$/,
  )
  const front = await exchange(`${server.issuer}/auth?client_id=acorn&response_type=code`, { ca: server.ca })
  assert.equal(front.status, 400)
  for (const method of ['GET', 'PUT']) assert.equal((await exchange(`${server.issuer}/backchannel`, { ca: server.ca, method })).status, 405)
})

test('CIBA-03 CIBA-10 a client that pings must say with which token; a poller need not', async () => {
  const kestrel = await CibaClient.register(server, 'kestrel', { notificationEndpoint: 'https://localhost:1/ping' })
  const long = `t${'0'.repeat(1_023)}`
  assert.equal((await kestrel.ask(await question({ client_notification_token: long }, kestrel))).status, 200)
  for (const client_notification_token of [undefined, `${long}0`, 'two words', '', 'ümlaut'])
    assert.equal(refusal(await kestrel.ask(await question({ client_notification_token }, kestrel))), '400 invalid_request')
})

test('UKDCR-11 CIBA-03 what cannot be registered: push, no delivery, a ping without https, user codes, other algorithms', async () => {
  const bad: Record<string, unknown>[] = [
    { backchannel_token_delivery_mode: 'push', backchannel_client_notification_endpoint: 'https://localhost:1/push' },
    { backchannel_token_delivery_mode: undefined },
    { backchannel_token_delivery_mode: 'ping' },
    { backchannel_token_delivery_mode: 'ping', backchannel_client_notification_endpoint: 'http://localhost:1/ping' },
    { backchannel_user_code_parameter: true },
    { backchannel_authentication_request_signing_alg: 'RS256' },
    { require_signed_request_object: false },
    { tls_client_certificate_bound_access_tokens: false },
  ]
  for (const [index, metadata] of bad.entries()) {
    const client = await CibaClient.register(server, `bad-${index}`, { metadata })
    assert.match(refusal(await client.ask(await question({}, client))), /^401 invalid_client$/, JSON.stringify(metadata))
  }
})

test('CIBA-02 a payment by authorization detail is lodged when it is asked for, and what cannot be paid is refused', async () => {
  const bob = await somebody()
  const detail = (amount: string) => ({
    scope: 'openid payments:write',
    login_hint: bob.username,
    authorization_details: [
      {
        type: 'payment_initiation',
        instructedAmount: { amount, currency: 'GBP' },
        debtorAccount: { account_id: bob.accounts[0] },
        creditorAccount: { account_id: ada.accounts[0] },
      },
    ],
  })
  const before = await server.owner.oneFirst(sql.unsafe`select count(*) from consents.consent where client_id = 'desk'`)
  assert.equal((await desk.ask(detail('25.00'))).status, 200)
  assert.equal(
    await server.owner.oneFirst(sql.unsafe`select count(*) from consents.consent where client_id = 'desk'`),
    (before as bigint) + 1n,
  )
  assert.equal(refusal(await desk.ask(detail('0.001'))), '400 invalid_authorization_details')
})

test('CIBA-12 a payment consent is asked for with the scope of payments', async () => {
  const asked = { login_hint: (await somebody()).username, ...intent(await lodgePayment(server, 'acorn')) }
  assert.equal(refusal(await acorn.ask(asked)), '400 invalid_scope')
  assert.equal((await acorn.ask({ ...asked, scope: 'openid payments' })).status, 200)
})
