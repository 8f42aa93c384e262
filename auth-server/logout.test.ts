import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from '@bankside/service-kit/postgres'
import { createTlsServer, listen } from '@bankside/service-kit/tls-server'
import { createRemoteJWKSet, customFetch, decodeJwt, jwtVerify } from 'jose'
import { type Authorised, authoriseAccounts, pushed } from './testing/authorise.ts'
import { enterCustomer, freshCode, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, fill, formOf, responseOf } from './testing/browser.ts'
import { type Answer, exchange } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { firstPartyScopes, intentClaim, ThirdParty } from './testing/third-party.ts'

const back = 'https://third-party.example/signed-out?kept=yes'
let server: TestServer
let ada: TestCustomer
let bob: TestCustomer
let acorn: ThirdParty
let cobalt: ThirdParty
let app: ThirdParty
/** Where clients are told of logouts: what they got, and what they answer. */
const told = { tokens: [] as { path: string; token: string; type: string }[], status: 200, close: async () => {} }

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  bob = await enterCustomer(server, 'bob')
  const receiver = createTlsServer({ certificates: [server.certificate], requestClientCertificate: false }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = new URLSearchParams(Buffer.concat(chunks).toString())
      told.tokens.push({ path: request.url ?? '', token: body.get('logout_token') ?? '', type: request.headers['content-type'] ?? '' })
      response.statusCode = told.status
      response.end()
    })
  })
  const port = await listen(receiver, { port: 0, address: '127.0.0.1' })
  told.close = async () => {
    receiver.close()
    receiver.closeAllConnections()
  }
  const uris = { post_logout_redirect_uris: [back] }
  const toldAt = (path: string) => ({ backchannel_logout_uri: `https://localhost:${port}/${path}` })
  acorn = await ThirdParty.register(server, 'acorn', {
    metadata: { ...uris, ...toldAt('acorn'), backchannel_logout_session_required: true },
  })
  cobalt = await ThirdParty.register(server, 'cobalt', {
    metadata: { post_logout_redirect_uris: ['https://cobalt.example/out'], ...toldAt('cobalt') },
  })
  app = await ThirdParty.register(server, 'bank-app', { firstParty: true, metadata: uris })
})
after(async () => {
  await told.close()
  await server.stop()
})

type SignedIn = Authorised & { readonly idToken: string; readonly refreshToken: string }

async function signedIn(client = acorn, customer = ada, params: Record<string, string | undefined> = {}): Promise<SignedIn> {
  const authorised = await authoriseAccounts(client, customer, params)
  const { json } = await client.redeem(authorised.code)
  return { ...authorised, idToken: String(json['id_token']), refreshToken: String(json['refresh_token']) }
}

const address = (params: Record<string, string>) => `/session/end?${new URLSearchParams(params)}`
const heading = ({ text }: Answer) =>
  /<h1[^>]*>([\s\S]*?)<\/h1>/
    .exec(text)?.[1]
    ?.replace(/<[^>]+>/g, '')
    .trim()
/** Whether the browser is still known: a pushed request goes to the accounts at once. */
async function isSignedIn({ customer }: Pick<Authorised, 'customer'>): Promise<boolean> {
  const consentId = await lodgeAccounts(server, 'acorn')
  const page = await customer.open(acorn, await pushed(acorn, { claims: intentClaim(consentId) }))
  return !/name="password"/.test(page.text)
}
const answer = async (customer: CustomerAtBrowser, page: Answer, action: 'confirm' | 'cancel') => {
  const form = formOf(page)
  return customer.browser.post(form.action, fill(form, { action }))
}

test('LOGOUT-01 LOGOUT-04 with an ID token of the session the customer is signed out at once and back at the client; consents stay', async () => {
  const { customer, idToken, refreshToken } = await signedIn()
  assert.equal(await isSignedIn({ customer }), true)
  const gone = await customer.browser.get(address({ id_token_hint: idToken, post_logout_redirect_uri: back, state: 'a b&c' }))
  assert.equal(gone.status, 303)
  assert.equal(gone.headers['location'], `${back}&state=a+b%26c`)
  assert.equal(await isSignedIn({ customer }), false)
  assert.equal((await acorn.refresh(refreshToken)).status, 200, 'LOGOUT-04')
})

test('LOGOUT-01 LOGOUT-02 by POST from another site no cookie of ours comes: the page asks, and its answer signs out', async () => {
  const { customer, idToken } = await signedIn()
  const form = new URLSearchParams({ id_token_hint: idToken, post_logout_redirect_uri: back, state: 's' })
  const stranger = new CustomerAtBrowser(server, ada)
  const page = await stranger.browser.post('/session/end', form, { origin: 'https://third-party.example', 'sec-fetch-site': 'cross-site' })
  assert.equal(heading(page), 'Sign out of Bankside')
  assert.match(page.text, /has asked us to sign you out/)
  assert.match(page.headers['content-security-policy'] ?? '', /form-action 'self' https:\/\/third-party\.example/)
  for (const cookie of stranger.browser.cookies.values()) customer.browser.put(cookie)
  const done = await answer(customer, page, 'confirm')
  assert.equal(done.headers['location'], `${back}&state=s`)
  assert.equal(await isSignedIn({ customer }), false)
})

test('LOGOUT-02 without a hint the customer is asked; who stays is signed in as before, who confirms goes back', async () => {
  const { customer } = await signedIn()
  const request = { client_id: 'acorn', post_logout_redirect_uri: back, state: 's' }
  const page = await customer.browser.get(address(request))
  assert.equal(heading(page), 'Sign out of Bankside')
  assert.match(page.headers['content-security-policy'] ?? '', /default-src 'none'/)
  const stayed = await answer(customer, page, 'cancel')
  assert.equal(heading(stayed), 'You are still signed in')
  assert.equal(await isSignedIn({ customer }), true)
  const gone = await answer(customer, await customer.browser.get(address(request)), 'confirm')
  assert.equal(gone.headers['location'], `${back}&state=s`)
  assert.equal(await isSignedIn({ customer }), false)
})

test('LOGOUT-02 a bare sign-out asks, and ends on a page of ours', async () => {
  const { customer } = await signedIn()
  const page = await customer.browser.get('/session/end')
  assert.match(page.text, /Do you want to sign out/)
  assert.equal(heading(await answer(customer, page, 'confirm')), 'You have signed out')
  assert.equal(await isSignedIn({ customer }), false)
  assert.equal(heading(await customer.browser.get('/session/end')), 'You have signed out', 'nobody is signed in: nothing to ask')
})

test('LOGOUT-02 CSRF on sign-out: a form of another site, without the page, or with that of another browser or another request is refused', async () => {
  const { customer } = await signedIn()
  const page = await customer.browser.get(address({ client_id: 'acorn', post_logout_redirect_uri: back }))
  const form = formOf(page)
  const post = (changed: Record<string, string>, headers: Record<string, string> = {}) =>
    customer.browser.post(form.action, fill(form, { action: 'confirm', ...changed }), headers)
  assert.equal((await post({}, { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' })).status, 403)
  assert.equal((await post({ page_token: 'x' })).status, 409)
  assert.equal((await post({ page_token: '' })).status, 409)
  assert.equal((await post({ state: 'other' })).status, 409)
  assert.equal((await post({ client_id: 'cobalt', post_logout_redirect_uri: 'https://cobalt.example/out' })).status, 409)
  const other = await signedIn()
  const theirs = formOf(await other.customer.browser.get('/session/end'))
  assert.equal((await customer.browser.post('/session/end/confirm', fill(theirs, { action: 'confirm' }))).status, 409)
  assert.equal(await isSignedIn({ customer }), true)
})

const strangers: readonly (readonly [string, (idToken: string) => Record<string, string>])[] = [
  ['an address that nobody registered', () => ({ client_id: 'acorn', post_logout_redirect_uri: 'https://evil.example/' })],
  ['an address that begins like a registered one', () => ({ client_id: 'acorn', post_logout_redirect_uri: `${back}&more=1` })],
  ['an address of another client', () => ({ client_id: 'cobalt', post_logout_redirect_uri: back })],
  ['an address in other letters', () => ({ client_id: 'acorn', post_logout_redirect_uri: back.replace('third-party', 'THIRD-PARTY') })],
  [
    'a redirect URI of the authorization',
    () => ({ client_id: 'acorn', post_logout_redirect_uri: 'https://third-party.example/callback?kept=yes' }),
  ],
  ['an address with nobody’s name', () => ({ post_logout_redirect_uri: back })],
  [
    'an address with a hint that is broken',
    (idToken) => ({ id_token_hint: `${idToken.slice(0, -4)}AAAA`, post_logout_redirect_uri: back }),
  ],
  ['a client that is not there', () => ({ client_id: 'nobody' })],
  ['a client that is not the hint’s', (idToken) => ({ client_id: 'cobalt', id_token_hint: idToken })],
  ['a state longer than any', () => ({ client_id: 'acorn', state: 'x'.repeat(2_049) })],
]
for (const [what, params] of strangers)
  test(`LOGOUT-01 FAPI2-AS-07 ${what}: the customer stays on a page of ours, signed in`, async () => {
    const { customer, idToken } = await signedIn()
    const page = await customer.browser.get(address(params(idToken)))
    assert.deepEqual([page.status, page.headers['location']], [400, undefined])
    assert.equal(heading(page), 'This link does not work')
    assert.equal(await isSignedIn({ customer }), true)
  })

test('LOGOUT-01 a parameter that comes twice is refused', async () => {
  const { customer } = await signedIn()
  assert.equal((await customer.browser.get('/session/end?client_id=acorn&client_id=cobalt')).status, 400)
})

test('LOGOUT-02 a hint of another customer, another client or another session signs nobody out: it is asked', async () => {
  const [hers, his] = [await signedIn(), await signedIn(acorn, bob)]
  const elsewhere = await signedIn()
  const atCobalt = await signedIn(cobalt)
  const asks = async (params: Record<string, string>) => heading(await hers.customer.browser.get(address(params)))
  assert.equal(await asks({ id_token_hint: his.idToken }), 'Sign out of Bankside', 'another customer')
  assert.equal(await asks({ id_token_hint: elsewhere.idToken }), 'Sign out of Bankside', 'another session of hers')
  assert.equal(await asks({ id_token_hint: `${hers.idToken}x` }), 'Sign out of Bankside', 'a forged one')
  assert.equal(await asks({ id_token_hint: 'x'.repeat(50) }), 'Sign out of Bankside', 'what is none')
  assert.ok(await isSignedIn(hers))
  // Cobalt registered for no session names: its hint names the customer, who is signed in here.
  assert.equal(heading(await hers.customer.browser.get(address({ id_token_hint: atCobalt.idToken }))), 'You have signed out')
})

test('LOGOUT-03 an ID token that has expired is as good a hint', async () => {
  const { customer, idToken } = await signedIn()
  const { sub, sid, exp = 0 } = decodeJwt(idToken) as { sub: string; sid: string; exp?: number }
  const expired = await server.signIdToken({ sub, sid, aud: 'acorn', iat: exp - 9_000, exp: exp - 8_000 })
  const gone = await customer.browser.get(address({ id_token_hint: expired, post_logout_redirect_uri: back }))
  assert.deepEqual([gone.status, gone.headers['location']], [303, back])
})

test('LOGOUT-04 the dashboard’s session ends with the browser’s', async () => {
  const { customer, idToken } = await signedIn()
  const first = await customer.browser.follow(await customer.browser.get('/connected-accounts'))
  const second = await customer.submit(first, { username: ada.username, password: ada.password })
  await customer.submit(second, { code: await freshCode(server, ada) })
  assert.equal(heading(await customer.browser.follow(await customer.browser.get('/connected-accounts'))), 'Connected accounts')
  await customer.browser.get(address({ id_token_hint: idToken }))
  assert.match(heading(await customer.browser.follow(await customer.browser.get('/connected-accounts'))) ?? '', /^Sign in/)
  assert.equal(
    await server.owner.oneFirst(sql.unsafe`select count(*)::int from customers.session where customer_id = ${ada.customerId}`),
    0,
  )
})

test('LOGOUT-04 CX-11 signing out at the dashboard ends the browser’s session as well, and clients are told', async () => {
  await deliverAll()
  told.tokens.length = 0
  const { customer, refreshToken } = await signedIn()
  const first = await customer.browser.follow(await customer.browser.get('/connected-accounts'))
  const second = await customer.submit(first, { username: ada.username, password: ada.password })
  const overview = await customer.submit(second, { code: await freshCode(server, ada) })
  const form = formOf(overview)
  assert.equal(form.action, '/connected-accounts/sign-out')
  await customer.browser.follow(await customer.browser.post(form.action, fill(form, {})))
  assert.equal(await isSignedIn({ customer }), false)
  await deliverAll()
  assert.equal(claimsAt('acorn').length, 1)
  assert.equal((await acorn.refresh(refreshToken)).status, 200)
})

test('BCP-06 LOGOUT-04 what an app of the bank got through the session ends with it; a third party’s refresh token does not', async () => {
  const { customer, refreshToken } = await signedIn()
  const { code = '' } = responseOf(await customer.open(app, await pushed(app, { scope: firstPartyScopes })))
  const { json } = await app.redeem(code)
  assert.equal((await app.refresh(String(json['refresh_token']))).status, 200)
  await customer.browser.get(address({ id_token_hint: String(json['id_token']) }))
  assert.equal((await app.refresh(String(json['refresh_token']))).status, 400)
  assert.equal((await acorn.refresh(refreshToken)).status, 200)
})

const claimsAt = (path: string) => told.tokens.filter((one) => one.path === `/${path}`)
/** Until nothing is due. */
const deliverAll = async () => {
  for (let round = 0; round < 5 && (await server.deliverLogouts()) > 0; round++);
}
const waiting = async () =>
  server.owner.any(
    sql.unsafe`select client_id, attempts, dead_at is not null as dead, last_error from oidc.backchannel_logout where next_attempt_at is not null or dead_at is not null order by created_at`,
  )

test('LOGOUT-01 back channel: whoever the session was used with is told, each by its own name for the customer and the session', async () => {
  await deliverAll()
  told.tokens.length = 0
  const { customer, idToken } = await signedIn()
  const page = await customer.open(cobalt, await pushed(cobalt, { claims: intentClaim(await lodgeAccounts(server, 'cobalt')) }))
  const { code = '' } = responseOf(await customer.agree(page, ada.accounts.slice(0, 1)))
  const cobaltIdToken = String((await cobalt.redeem(code)).json['id_token'])

  await customer.browser.get(address({ id_token_hint: idToken }))
  assert.equal(told.tokens.length, 0, 'nobody is waited for')
  await deliverAll()
  assert.deepEqual(told.tokens.map(({ path }) => path).toSorted(), ['/acorn', '/cobalt'])
  const jwks = createRemoteJWKSet(new URL(`${server.issuer}/jwks`), {
    [customFetch]: async (url: string) => new Response((await exchange(url, { ca: server.ca })).text, { status: 200 }),
  })
  for (const [client, hint] of [
    ['acorn', idToken],
    ['cobalt', cobaltIdToken],
  ] as const) {
    const [{ token = '', type = '' } = {}] = claimsAt(client)
    assert.match(type, /^application\/x-www-form-urlencoded/)
    const { payload, protectedHeader } = await jwtVerify(token, jwks, { issuer: server.issuer, audience: client, typ: 'logout+jwt' })
    assert.equal(protectedHeader.alg, 'ES256')
    assert.deepEqual(payload['events'], { 'http://schemas.openid.net/event/backchannel-logout': {} })
    assert.equal(payload.sub, decodeJwt(hint).sub, 'OIDC-08')
    assert.equal(payload['nonce'], undefined)
    assert.ok(payload.jti && payload.iat && payload.exp && payload.exp - payload.iat <= 120)
    if (client === 'acorn') assert.equal(payload['sid'], decodeJwt(hint)['sid'])
  }
  const [[first], [second]] = [claimsAt('acorn'), claimsAt('cobalt')]
  assert.notEqual(decodeJwt(first?.token ?? '').sub, decodeJwt(second?.token ?? '').sub)
})

test('LOGOUT-01 back channel: a client that fails is told again, later and later, and at last no more; nobody else waits for it', async () => {
  await deliverAll()
  told.tokens.length = 0
  told.status = 503
  const { customer, idToken } = await signedIn()
  assert.equal((await customer.browser.get(address({ id_token_hint: idToken }))).status, 200)
  await deliverAll()
  assert.deepEqual(
    (await waiting()).map((row) => ({ ...(row as object) })),
    [{ client_id: 'acorn', attempts: 1, dead: false, last_error: 'answered 503' }],
  )
  const due = () =>
    server.owner.query(
      sql.unsafe`update oidc.backchannel_logout set next_attempt_at = now() - interval '1 second' where next_attempt_at is not null`,
    )
  await due()
  await deliverAll()
  const [one, other] = claimsAt('acorn').map(({ token }) => decodeJwt(token))
  assert.notEqual(one?.jti, other?.jti, 'each attempt has a token of its own')
  assert.equal(one?.['sid'], other?.['sid'])
  for (let attempts = 2; attempts < 8; attempts++) {
    await due()
    await deliverAll()
  }
  assert.deepEqual(
    (await waiting()).map((row) => ({ ...(row as object) })),
    [{ client_id: 'acorn', attempts: 8, dead: true, last_error: 'answered 503' }],
  )
  await due()
  await deliverAll()
  assert.equal(claimsAt('acorn').length, 8)
  told.status = 200
  await server.owner.query(sql.unsafe`delete from oidc.backchannel_logout`)
})

test('LOGOUT-01 back channel: several processes at once tell a client once', async () => {
  told.tokens.length = 0
  const { customer, idToken } = await signedIn()
  await customer.browser.get(address({ id_token_hint: idToken }))
  await Promise.all(Array.from({ length: 5 }, () => server.deliverLogouts()))
  assert.equal(claimsAt('acorn').length, 1)
})

test('DCR-06 LOGOUT-01 back channel: an address inside the bank’s network is not asked, and the customer is signed out all the same', async () => {
  const inward = await ThirdParty.register(server, 'inward', { metadata: { backchannel_logout_uri: 'https://169.254.169.254/logout' } })
  const { customer, idToken } = await signedIn(inward)
  assert.equal((await customer.browser.get(address({ id_token_hint: idToken }))).status, 200)
  await deliverAll()
  const [row] = await waiting()
  assert.match(String((row as { last_error: string }).last_error), /not public/)
  await server.owner.query(sql.unsafe`delete from oidc.backchannel_logout`)
})

test('LOGOUT-01 back channel: a client that was blocked meanwhile is told nothing', async () => {
  told.tokens.length = 0
  const { customer, idToken } = await signedIn()
  await customer.browser.get(address({ id_token_hint: idToken }))
  await server.owner.query(sql.unsafe`update clients.client set status = 'blocked' where client_id = 'acorn'`)
  await deliverAll()
  await server.owner.query(sql.unsafe`update clients.client set status = 'active' where client_id = 'acorn'`)
  assert.deepEqual([claimsAt('acorn').length, (await waiting()).length], [0, 0])
})

test('LOGOUT-01 back channel: a customer who takes over a browser ends the session of the one before, and its clients are told', async () => {
  await deliverAll()
  told.tokens.length = 0
  const hers = await signedIn()
  const his = hers.customer.beside(bob)
  const claims = intentClaim(await lodgeAccounts(server, 'acorn'))
  const page = await his.signIn(await his.open(acorn, await pushed(acorn, { claims, prompt: 'login' })))
  const { code = '' } = responseOf(await his.agree(page, bob.accounts.slice(0, 1)))
  const { json } = await acorn.redeem(code)
  await deliverAll()
  const [only, ...others] = claimsAt('acorn').map(({ token }) => decodeJwt(token))
  assert.deepEqual([only?.sub, only?.['sid'], others], [decodeJwt(hers.idToken).sub, decodeJwt(hers.idToken)['sid'], []])
  assert.notEqual(decodeJwt(String(json['id_token']))['sid'], only?.['sid'])
  assert.equal((await acorn.refresh(hers.refreshToken)).status, 200, 'LOGOUT-04')
})
