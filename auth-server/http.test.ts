import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { connect } from 'node:tls'
import { sql } from '@bankside/service-kit/postgres'
import { authorisedTokens, pushed, refusal } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { BreakableLink } from './testing/breakable-link.ts'
import { Browser, CustomerAtBrowser, formOf } from './testing/browser.ts'
import { type Answer, exchange } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

const link = new BreakableLink()
let server: TestServer
let ada: TestCustomer
let acorn: ThirdParty

before(async () => {
  server = await startTestServer({ reach: (url) => link.to(url) })
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
})
after(async () => {
  await server.stop()
  await link.cut()
})

async function openSignIn(customer = new CustomerAtBrowser(server, ada)) {
  const requestUri = await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) })
  return { customer, page: await customer.open(acorn, requestUri) }
}

const policyOf = (headers: Readonly<Record<string, string | undefined>>) =>
  Object.fromEntries(
    (headers['content-security-policy'] ?? '')
      .split(';')
      .map((part) => part.trim().split(/ (.*)/))
      .map(([name = '', value = '']) => [name, value]),
  )

test('FAPI2-NET-08 BCP-09 BCP-17 ATK-03 every page carries the headers that keep it to itself', async () => {
  const { page } = await openSignIn()
  const notFound = await new Browser(server).get('/nowhere')
  const signIn = await new Browser(server).get('/connected-accounts/sign-in')
  for (const { headers, text: body } of [page, notFound, signIn]) {
    const [, seconds = ''] = /max-age=(\d+)/.exec(headers['strict-transport-security'] ?? '') ?? []
    assert.ok(Number(seconds) >= 31_536_000)
    assert.equal(headers['referrer-policy'], 'no-referrer')
    assert.equal(headers['x-frame-options'], 'DENY')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['cache-control'], 'no-store')
    assert.equal(headers['x-powered-by'], undefined)
    assert.match(headers['content-type'] ?? '', /^text\/html; charset=utf-8/)
    const policy = policyOf(headers)
    for (const directive of ['default-src', 'frame-ancestors', 'base-uri']) assert.equal(policy[directive], "'none'")
    for (const directive of ['style-src', 'img-src']) assert.equal(policy[directive], "'self'")
    assert.ok(!('script-src' in policy))
    assert.doesNotMatch(body, /<script|style="|onclick/)
    assert.deepEqual([...body.matchAll(/(?:src|href)="(https?:)?\/\//g)], [], 'nothing from elsewhere')
  }
})

test('BCP-12 ATK-03 a form may lead to this third party’s origin, on its own pages only', async () => {
  const { page } = await openSignIn()
  assert.equal(policyOf(page.headers)['form-action'], "'self' https://third-party.example")
  const dashboard = await new Browser(server).get('/connected-accounts/sign-in')
  assert.equal(policyOf(dashboard.headers)['form-action'], "'self'")
})

test('BCP-12 cookies are for this host, over TLS, out of reach of scripts and of other sites’ forms', async () => {
  const { customer, page } = await openSignIn()
  const seen: string[] = []
  const { browser } = customer
  const [get, post] = [browser.get.bind(browser), browser.post.bind(browser)]
  const saw = (answer: Answer) => {
    seen.push(...answer.cookies)
    return answer
  }
  browser.get = async (...args) => saw(await get(...args))
  browser.post = async (...args) => saw(await post(...args))
  const choose = await customer.signIn(page)
  await customer.agree(choose, ada.accounts.slice(0, 1))
  const dashboard = await new Browser(server).get('/connected-accounts/sign-in')
  const set = [...seen, ...dashboard.cookies].filter((cookie) => !cookie.includes('01 Jan 1970'))
  assert.ok(set.some((cookie) => cookie.startsWith('__Host-bankside_session=')))
  for (const cookie of set) {
    assert.match(cookie, /^__(Host|Secure)-/)
    assert.match(cookie, /; secure/i)
    assert.match(cookie, /; httponly/i)
    assert.match(cookie, /; samesite=(lax|strict)/i)
    assert.doesNotMatch(cookie, /; domain=/i)
  }
})

test('FAPI2-AZ-10 FAPI2-AZ-11 BCP-14 every redirect of a journey is a 303', async () => {
  const { customer, page } = await openSignIn()
  const form = formOf(page)
  const answer = await customer.browser.post(
    form.action,
    new URLSearchParams([...form.fields, ['username', 'ada'], ['password', ada.password]]),
  )
  assert.equal(answer.status, 303)
  const requestUri = await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) })
  const opened = await new Browser(server).get(`/auth?${new URLSearchParams({ client_id: 'acorn', request_uri: requestUri })}`)
  assert.equal(opened.status, 303)
  assert.match(opened.headers['location'] ?? '', /^\/interaction\/[\w-]{43}$/)
})

test('BCP-02 unknown paths and methods are answered as what asked can read', async () => {
  const page = await new Browser(server).get('/nowhere')
  assert.equal(page.status, 404)
  assert.match(page.text, /We cannot find this page/)
  const json = await exchange(`${server.issuer}/nowhere`, { ca: server.ca, headers: { accept: 'application/json' } })
  assert.deepEqual([json.status, json.json['error']], [404, 'not_found'])
  for (const path of ['/TOKEN', '/token/', '//token', '/auth/', '/interaction/', '/assets/../config.ts', '/.git/config'])
    assert.equal((await exchange(server.issuer + path, { ca: server.ca, method: 'GET' })).status, 404, path)
  for (const [method, path, allow] of [
    ['GET', '/token', 'POST'],
    ['DELETE', '/jwks', 'GET, HEAD'],
    ['POST', '/auth', 'GET'],
    ['PUT', '/connected-accounts', 'GET'],
  ] as const) {
    const answer = await exchange(server.issuer + path, { ca: server.ca, method })
    assert.deepEqual([answer.status, answer.headers['allow']], [405, allow], `${method} ${path}`)
  }
})

test('PAR-05 a page takes forms, and not more than a form', async () => {
  const { customer, page } = await openSignIn()
  const { action } = formOf(page)
  assert.equal((await customer.browser.post(action, new URLSearchParams({ username: 'x'.repeat(100_000) }))).status, 413)
  const json = await exchange(server.issuer + action, {
    ca: server.ca,
    method: 'POST',
    body: '{}',
    headers: { 'content-type': 'application/json' },
  })
  assert.equal(json.status, 415)
  assert.equal((await customer.submit(page, { username: 'ada', password: ada.password })).status, 200, 'the page is still good')
})

test('FAPI2-AS-01 an address with a host in it is not followed', async () => {
  const { hostname, port } = new URL(server.issuer)
  const socket = connect({ host: hostname, port: Number(port), ca: server.ca, servername: 'localhost' })
  socket.write(`GET https://evil.example/.well-known/openid-configuration HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: close\r\n\r\n`)
  const answer = await text(socket)
  assert.match(answer, /^HTTP\/1\.1 421/)
  assert.doesNotMatch(answer, /issuer/)
})

test('ATK-02 the log tells what happened and holds nothing that opens anything, and nobody’s name', async () => {
  const from = server.logged.length
  const { code, requestUri, tokens, customer } = await authorisedTokens(acorn, ada)
  await exchange(`${server.issuer}/token?access_token=${String(tokens.json['access_token'])}`, {
    ca: server.ca,
    form: { code, client_id: 'acorn' },
  })
  const lines = server.logged.slice(from).join('\n')
  assert.match(lines, /"route":"token"/)
  assert.match(lines, /"request_id":"[0-9a-f-]{36}"/)
  assert.match(lines, /"code":"invalid_\w+".*"msg":"refused"/)
  const secrets = [
    code,
    requestUri.split(':').at(-1),
    tokens.json['access_token'],
    tokens.json['refresh_token'],
    ada.password,
    // Three letters, all of them hexadecimal: bare, they are in many an id.
    `"${ada.username}"`,
    ada.totpSecret,
    'Full ada',
  ]
  const cookies = [...customer.browser.cookies.values()].map(({ value }) => value)
  for (const secret of [...secrets, ...cookies]) assert.ok(!lines.includes(String(secret)), 'a secret is in the log')
})

test('FAPI1B-RS-04 the caller’s interaction id is used when it is one, and another is made when it is not', async () => {
  const given = 'C770AEF3-6784-41F7-8E0E-FF5F97BDDB3A'
  const ask = async (id: string) =>
    (await exchange(`${server.issuer}/jwks`, { ca: server.ca, headers: { 'x-fapi-interaction-id': id } })).headers['x-fapi-interaction-id']
  assert.equal(await ask(given), given)
  assert.match((await ask('not one\tof them')) ?? '', /^[0-9a-f-]{36}$/)
})

test('PAR-05 a fault of ours is answered with a reference and logged whole', async () => {
  await server.owner.query(sql.unsafe`alter table oidc.pushed_authorization_request rename to hidden`)
  try {
    const answer = await acorn.push({ claims: intentClaim(await lodgeAccounts(server, 'acorn')) })
    assert.deepEqual([answer.status, answer.json['error']], [500, 'server_error'])
    assert.doesNotMatch(answer.text, /relation|oidc\./)
    const reference = answer.headers['x-fapi-interaction-id'] ?? 'none'
    const line = server.logged.find((entry) => entry.includes(reference) && entry.includes('"fault"'))
    assert.match(line ?? '', /does not exist/)
  } finally {
    await server.owner.query(sql.unsafe`alter table oidc.hidden rename to pushed_authorization_request`)
  }
})

test('PAR-05 when the database does not answer, clients are told to come back, and browsers too; then all is as before', async () => {
  const { customer, page } = await openSignIn()
  await link.cut()
  try {
    const token = await acorn.token({ grant_type: 'client_credentials', scope: 'accounts' })
    assert.equal(refusal(token), '503 temporarily_unavailable')
    assert.match(token.headers['retry-after'] ?? '', /^\d+$/)
    const shown = await customer.browser.get(formOf(page).action)
    assert.equal(shown.status, 503)
    assert.match(shown.headers['retry-after'] ?? '', /^\d+$/)
    assert.match(shown.text, /We cannot do this right now/)
    const opened = await customer.browser.get('/auth?client_id=acorn&request_uri=urn:ietf:params:oauth:request_uri:x')
    assert.equal(opened.status, 503)
  } finally {
    await link.mend()
  }
  assert.equal((await acorn.token({ grant_type: 'client_credentials', scope: 'accounts' })).status, 200)
  assert.equal((await customer.submit(page, { username: 'ada', password: ada.password })).status, 200)
})
