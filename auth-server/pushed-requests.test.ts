import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { authoriseAccounts, pushed, refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { Browser, CustomerAtBrowser, responseOf } from './testing/browser.ts'
import { exchange } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, redirectUri, ThirdParty } from './testing/third-party.ts'

let server: TestServer
let ada: TestCustomer
let acorn: ThirdParty
let dunmore: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
  dunmore = await ThirdParty.register(server, 'dunmore', { authentication: 'tls_client_auth', constraint: 'mtls' })
})
after(() => server.stop())

const push = async (params: Record<string, string | undefined>) =>
  acorn.push({ claims: intentClaim(await lodgeAccounts(server, 'acorn')), ...params })

test('FAPI2-AZ-02 FAPI2-AZ-12 PAR-04 a pushed request is answered with 201, a lifetime below 600 s, and is not cached', async () => {
  const { status, json, headers } = await push({})
  assert.equal(status, 201)
  assert.match(headers['cache-control'] ?? '', /no-store/)
  assert.ok(Number(json['expires_in']) > 0 && Number(json['expires_in']) < 600)
  assert.match(String(json['request_uri']), /^urn:ietf:params:oauth:request_uri:[\w-]{43}$/)
  assert.deepEqual(Object.keys(json).sort(), ['expires_in', 'request_uri'])
})

const refused: readonly (readonly [string, Record<string, string | undefined>, string])[] = [
  ['FAPI2-AZ-05 no code challenge', { code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request'],
  ['FAPI2-AZ-05 a plain code challenge', { code_challenge_method: 'plain' }, 'invalid_request'],
  ['FAPI2-AZ-05 a code challenge without a method', { code_challenge_method: undefined }, 'invalid_request'],
  ['FAPI2-AZ-06 no redirect_uri', { redirect_uri: undefined }, 'invalid_request'],
  ['FAPI2-AZ-08 BCP-01 an http redirect_uri', { redirect_uri: redirectUri.replace('https', 'http') }, 'invalid_request'],
  ['BCP-01 FAPI2-AS-07 another redirect_uri', { redirect_uri: 'https://evil.example/callback' }, 'invalid_request'],
  ['BCP-01 a redirect_uri with a path added', { redirect_uri: redirectUri.replace('?', '/x?') }, 'invalid_request'],
  ['BCP-01 a redirect_uri with a query added', { redirect_uri: `${redirectUri}&x=1` }, 'invalid_request'],
  ['BCP-01 a redirect_uri in other letter case', { redirect_uri: redirectUri.replace('callback', 'Callback') }, 'invalid_request'],
  ['BCP-01 a redirect_uri on a subdomain', { redirect_uri: redirectUri.replace('https://', 'https://a.') }, 'invalid_request'],
  [
    'BCP-01 a redirect_uri behind a user name',
    { redirect_uri: 'https://third-party.example@evil.example/callback?kept=yes' },
    'invalid_request',
  ],
  ['FAPI2-AZ-01 response_type code id_token', { response_type: 'code id_token' }, 'invalid_request'],
  ['FAPI2-AZ-01 BCP-03 response_type token', { response_type: 'token' }, 'invalid_request'],
  ['BCP-18 response_mode web_message', { response_mode: 'web_message' }, 'unsupported_response_mode'],
  ['BCP-10 response_mode fragment', { response_mode: 'fragment' }, 'invalid_request'],
  ['BCP-10 response_mode form_post', { response_mode: 'form_post' }, 'invalid_request'],
  ['PAR-02 a request_uri', { request_uri: 'urn:ietf:params:oauth:request_uri:x' }, 'invalid_request'],
  ['PAR-02 JAR-04 a request_uri somewhere else', { request_uri: 'https://internal.example/request' }, 'invalid_request'],
  ['FAPI2-CR-03 an unsigned request object', { request: 'eyJhbGciOiJub25lIn0.e30.' }, 'invalid_request_object'],
  ['PAR-03 a scope that the client does not have', { scope: 'openid accounts:read' }, 'invalid_scope'],
  ['PAR-03 a scope that nobody has', { scope: 'openid accounts everything' }, 'invalid_scope'],
  ['PAR-03 another API', { resource: 'https://localhost:1/api/v1' }, 'invalid_target'],
  ['PAR-03 an unknown API', { resource: 'https://evil.example/' }, 'invalid_target'],
  ['PAR-03 an unknown prompt', { prompt: 'surprise' }, 'invalid_request'],
  ['PAR-03 a negative max_age', { max_age: '-1' }, 'invalid_request'],
  ['OIDC-06 an id_token_hint that is none', { id_token_hint: 'x.y.z' }, 'invalid_request'],
]
for (const [what, params, error] of refused)
  test(`${what} is refused when it is pushed`, async () => assert.equal(refusal(await push(params)), `400 ${error}`))

test('PAR-01 a pushed request is a POST, and nothing else', async () => {
  for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS']) {
    const { status, headers } = await exchange(`${server.issuer}/par`, { ca: server.ca, method })
    assert.equal(status, 405, method)
    assert.equal(headers['allow'], 'POST')
  }
})

test('PAR-01 PAR-05 another media type is refused with 415', async () => {
  const headers = { 'content-type': 'application/json' }
  const { status } = await exchange(`${server.issuer}/par`, { ca: server.ca, method: 'POST', body: '{}', headers })
  assert.equal(status, 415)
})

test('PAR-05 a megabyte is refused with 413, whether or not its length is said', async () => {
  const big = 'x'.repeat(1_048_576)
  assert.equal((await push({ login_hint: big })).status, 413)
  const chunked = await exchange(`${server.issuer}/par`, {
    ca: server.ca,
    method: 'POST',
    body: `client_id=acorn&state=${big}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'transfer-encoding': 'chunked', 'content-length': [] },
  })
  assert.equal(chunked.status, 413)
})

test('PAR-05 a parameter that is sent twice is refused', async () => {
  const form = new URLSearchParams({ ...acorn.request(), ...(await acorn.authentication()) })
  form.append('scope', 'openid')
  assert.equal(refusal(await exchange(`${server.issuer}/par`, { ca: server.ca, form })), '400 invalid_request')
})

test('FAPI2-AZ-03 RAR-06 BCP-02 a request that was not pushed is answered with a page, never by redirect', async () => {
  const browser = new Browser(server)
  const query = new URLSearchParams({ ...acorn.request(), response_mode: 'form_post' })
  for (const extra of ['', '&request=eyJhbGciOiJub25lIn0.e30.', '&request_uri=https%3A%2F%2Finternal.example%2F']) {
    const answer = await browser.get(`/auth?${query}${extra}`)
    assert.equal(answer.status, 400)
    assert.equal(answer.headers['location'], undefined)
    assert.match(answer.text, /This link does not work/)
    assert.match(answer.text, /shared nothing and paid nothing/)
    // What the company has to mend is on the page: its customers send pictures of it.
    assert.match(answer.text, /For the company that sent you <span class="reference">(invalid_request|request_uri_not_supported)/)
  }
})

test('BCP-02 FAPI2-AS-07 an unknown client is answered with a page that says nothing of what came', async () => {
  const answer = await new Browser(server).get(
    '/auth?client_id=%3Cscript%3E&request_uri=urn:ietf:params:oauth:request_uri:x&redirect_uri=https://evil.example/',
  )
  assert.equal(answer.status, 400)
  assert.doesNotMatch(answer.text, /script|evil/)
})

test('PAR-06 a request_uri of another client is refused', async () => {
  const requestUri = await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) })
  const answer = await new CustomerAtBrowser(server, ada).open(dunmore, requestUri)
  assert.equal(answer.status, 400)
})

test('PAR-06 an unknown or mangled request_uri is refused', async () => {
  for (const uri of [
    'urn:ietf:params:oauth:request_uri:unknown',
    'urn:ietf:params:oauth:request_uri:',
    'urn:other',
    'https://evil.example/',
  ])
    assert.equal((await new CustomerAtBrowser(server, ada).open(acorn, uri)).status, 400, uri)
})

test('FAPI2-AZ-15 PAR-06 a request_uri may be opened again before the authorization completes, and not after', async () => {
  const requestUri = await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) })
  await new CustomerAtBrowser(server, ada).open(acorn, requestUri)
  const customer = new CustomerAtBrowser(server, ada)
  const first = await customer.open(acorn, requestUri)
  assert.equal(first.status, 200)
  responseOf(await customer.agree(await customer.signIn(first), ada.accounts.slice(0, 1)))
  const second = await new CustomerAtBrowser(server, ada).open(acorn, requestUri)
  assert.equal(second.status, 400)
})

test('FAPI2-AZ-15 of two journeys that began with one request_uri one completes, and what it gave stays', async () => {
  const consentId = await lodgeAccounts(server, 'acorn')
  const requestUri = await pushed(acorn, { claims: intentClaim(consentId) })
  const [one, two] = [new CustomerAtBrowser(server, ada), new CustomerAtBrowser(server, ada)]
  const [pageOne, pageTwo] = [await one.signIn(await one.open(acorn, requestUri)), await two.signIn(await two.open(acorn, requestUri))]
  const { code } = responseOf(await one.agree(pageOne, ada.accounts.slice(0, 1)))
  const late = await two.agree(pageTwo, ada.accounts.slice(0, 2))
  assert.equal(late.status, 400)
  assert.match(late.text, /already been answered/)
  assert.equal((await acorn.redeem(code ?? '')).status, 200)
})

test('FAPI2-AZ-07 ISS-01 BCP-04 FAPI2-AZ-10 FAPI2-AZ-11 BCP-14 the answer is a 303 with iss and what was in the redirect URI', async () => {
  const { response } = await authoriseAccounts(acorn, ada, { state: 'the state' })
  assert.deepEqual({ ...response, code: 'code' }, { kept: 'yes', code: 'code', state: 'the state', iss: server.issuer })
})

test('ISS-01 FAPI2-AZ-07 an error answer has iss too', async () => {
  const requestUri = await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')), prompt: 'none', state: 'x' })
  const response = responseOf(await new CustomerAtBrowser(server, ada).open(acorn, requestUri))
  assert.equal(response['iss'], server.issuer)
  assert.equal(response['state'], 'x')
})

test('FAPI2-AZ-16 a state of 1024 characters comes back unchanged, no state comes back as none', async () => {
  const state = 'aA0-._~'.repeat(146).padEnd(1024, 'z')
  assert.equal((await authoriseAccounts(acorn, ada, { state })).response['state'], state)
  assert.ok(!('state' in (await authoriseAccounts(acorn, ada, { state: undefined })).response))
})

test('ATK-01 FAPI2-AZ-03 parameters beside the request_uri change nothing', async () => {
  const requestUri = await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')), state: 'pushed' })
  const customer = new CustomerAtBrowser(server, ada)
  const query = new URLSearchParams({
    client_id: 'acorn',
    request_uri: requestUri,
    state: 'other',
    redirect_uri: 'https://evil.example/',
    response_type: 'token',
    scope: 'openid payments',
    nonce: 'other',
    prompt: 'none',
  })
  const signIn = await customer.browser.follow(await customer.browser.get(`/auth?${query}`))
  const response = responseOf(await customer.agree(await customer.signIn(signIn), ada.accounts.slice(0, 1)))
  assert.equal(response['state'], 'pushed')
})

test('FAPI2-NET-10 the authorization endpoint allows no other origin', async () => {
  const requestUri = await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) })
  const answer = await new Browser(server).get(`/auth?${new URLSearchParams({ client_id: 'acorn', request_uri: requestUri })}`, {
    origin: 'https://evil.example',
  })
  const preflight = await exchange(`${server.issuer}/auth`, {
    ca: server.ca,
    method: 'OPTIONS',
    headers: { origin: 'https://evil.example', 'access-control-request-method': 'GET' },
  })
  for (const { headers } of [answer, preflight])
    assert.deepEqual(
      Object.keys(headers).filter((name) => name.startsWith('access-control')),
      [],
    )
})

test('FAPI2-CR-01 PAR-02 an assertion pushes one request, and is used up by one that is refused', async () => {
  const claims = intentClaim(await lodgeAccounts(server, 'acorn'))
  const pushWith = async (client_assertion: string, params: Record<string, string | undefined> = {}) => {
    const { status, json } = await acorn.push({ claims, client_assertion, ...params })
    return `${status} ${json['error'] ?? ''}`
  }
  const wrong = { redirect_uri: 'https://evil.example/callback' }
  const [good, refused, raced] = await Promise.all([acorn.assertion(), acorn.assertion(), acorn.assertion()])
  assert.equal(await pushWith(good), '201 ')
  assert.equal(await pushWith(good), '401 invalid_client')
  assert.equal(await pushWith(good, wrong), '401 invalid_client')
  assert.equal(await pushWith(refused, wrong), '400 invalid_request')
  assert.equal(await pushWith(refused), '401 invalid_client')
  const token = { grant_type: 'client_credentials', scope: 'accounts' }
  assert.equal((await acorn.token({ ...token, client_assertion: good })).status, 401)

  // Some of these are in one statement, with others beside them that are good.
  const others = await Promise.all([1, 2, 3, 4].map(() => acorn.assertion()))
  const answers = await Promise.all([...Array(8).fill(raced), ...others].map((assertion) => pushWith(assertion)))
  assert.deepEqual(answers.slice(8), Array(4).fill('201 '))
  assert.deepEqual(answers.slice(0, 8).sort(), ['201 ', ...Array(7).fill('401 invalid_client')])
})
