import assert from 'node:assert/strict'
import { createHash, randomUUID, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import tls from 'node:tls'
import { createMetrics } from '@bankside/service-kit/metrics'
import { sql } from '@bankside/service-kit/postgres'
import { startResourceApi } from './resource-api.ts'
import { paymentConsentBody } from './testing/payment-bodies.ts'
import { type Answer, createTestClient, type Request } from './testing/test-client.ts'
import { startTestWorld, type TestWorld } from './testing/test-world.ts'

const uk = '/open-banking/v4.0'
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
let world: TestWorld
let tokens: { accounts: string; payments: string; app: string }

before(async () => {
  world = await startTestWorld()
  const { cobalt } = world
  tokens = {
    accounts: await world.clientToken(cobalt, 'accounts'),
    payments: await world.clientToken(cobalt, 'payments'),
    app: await world.appToken(world.ada),
  }
})
after(() => world.close())

const consent = { Data: { Permissions: ['ReadAccountsBasic'] }, Risk: {} }
const errors = ({ status, body }: Answer) => [
  status,
  ...(body?.Errors ?? []).map((error: Record<string, string>) => `${error['ErrorCode']} ${error['Path']}`),
]
const lodge = (request: Request = {}) =>
  world.cobalt.send('POST', `${uk}/aisp/account-access-consents`, { token: tokens.accounts, body: consent, ...request })
const lodgePayment = (raw: string | Buffer, headers: Request['headers'] = {}) =>
  world.cobalt.send('POST', `${uk}/pisp/domestic-payment-consents`, {
    token: tokens.payments,
    raw,
    headers: { 'x-idempotency-key': randomUUID(), ...headers },
  })

test('RW-URI-01 RW-URI-04 RW-ST-02 unknown paths are 404 without a body, before any token is asked for', async () => {
  const paths = [
    '/foobar',
    '/aisp/foobar',
    '/accounts',
    '/aisp',
    '/aisp/',
    '/aisp/accounts/',
    '/aisp//accounts',
    '/aisp/accounts/a/b/c',
    '/aisp/Accounts',
    '/aisp/accounts%2Fx/y/z',
    '/aisp/../aisp/accounts/x/y',
    '/aisp/balances',
    '/aisp/party',
    '/cbpii/funds-confirmations',
    '/pisp/domestic-vrps',
    '/__proto__',
    `/aisp/${'x'.repeat(2_000)}`,
  ]
  for (const path of paths) {
    const answer = await world.cobalt.send('GET', uk + path)
    assert.deepEqual([answer.status, answer.text], [404, ''], path)
    assert.match(String(answer.headers['x-fapi-interaction-id']), uuid)
  }
})

test('RW-URI-01 paths outside of both APIs are 404 too: as problem+json, or without a body beside the UK API', async () => {
  for (const path of ['/', '/api', '/api/v1', '/api/v2/accounts', '/api/v1/nothing', '/favicon.ico', '/health/live', '/metrics']) {
    const answer = await world.cobalt.send('GET', path)
    assert.deepEqual(
      [answer.status, answer.headers['content-type'], answer.body.code],
      [404, 'application/problem+json; charset=utf-8', 'not_found'],
      path,
    )
  }
  for (const path of ['/open-banking/v3.1/aisp/accounts', '/open-banking/v4.0', '/open-banking/'])
    assert.deepEqual([(await world.cobalt.send('GET', path)).status, (await world.cobalt.send('GET', path)).text], [404, ''])
})

test('RW-ST-07 RW-URI-04 a known path with another method is 405 with Allow', async () => {
  const cases = [
    ['PUT', '/aisp/accounts', 'GET'],
    ['OPTIONS', '/aisp/accounts', 'GET'],
    ['PATCH', '/aisp/account-access-consents', 'POST'],
    ['PUT', '/aisp/account-access-consents/con_1', 'GET, DELETE'],
    ['GET', '/pisp/domestic-payments', 'POST'],
    ['DELETE', '/pisp/domestic-payments/pay_1', 'GET'],
  ] as const
  for (const [method, path, allow] of cases) {
    const answer = await world.cobalt.send(method, uk + path)
    assert.deepEqual([answer.status, answer.headers['allow'], answer.text], [405, allow, ''], `${method} ${path}`)
  }
  assert.deepEqual((await world.cobalt.send('GET', '/api/v1/transactions/transfer')).headers['allow'], 'POST')
})

test('RW-H-07 D10 Accept: what we speak is accepted in any spelling, the rest is 406', async () => {
  const path = `${uk}/aisp/account-access-consents/con_1`
  for (const accept of [
    undefined,
    '*/*',
    'application/*',
    'application/json',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'text/html;q=0.9, application/json;q=0.1',
    'application/jose+jwe, */*;q=0.1',
    'text/plain;a="application/xml;q=0,", application/*',
  ])
    assert.equal((await world.cobalt.send('GET', path, { token: tokens.accounts, headers: { accept } })).status, 400, accept)
  for (const accept of [
    ...['application/jose+jwe', 'text/html', 'application/xml', 'application/json;q=0', 'x'],
    ...['*/*, application/json;q=0', 'application/json;version=2', 'application/json;a="*/*"', ', ;', 'application/'],
  ])
    assert.deepEqual([(await world.cobalt.send('GET', path, { token: tokens.accounts, headers: { accept } })).status], [406], accept)
})

test('RW-H-06 D10 Content-Type: JSON in UTF-8, anything else is 415', async () => {
  for (const type of ['application/json', 'application/json; charset=utf-8', 'application/json;charset="UTF-8"', 'Application/JSON'])
    assert.equal((await lodge({ headers: { 'content-type': type } })).status, 201, type)
  for (const type of [
    undefined,
    '',
    'text/plain',
    'application/jose+jwe',
    'application/json; charset=latin1',
    'application/jsonx',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json, text/plain',
  ])
    assert.equal((await lodge({ headers: { 'content-type': type } })).status, 415, type)
  assert.equal((await lodge({ headers: { 'content-encoding': 'gzip' } })).status, 415)
})

test('RW-H-02 the interaction id is echoed, or made, on every answer; one that is no UUID is 400 U006', async () => {
  const interactionId = randomUUID().toUpperCase()
  assert.equal((await lodge({ headers: { 'x-fapi-interaction-id': interactionId } })).headers['x-fapi-interaction-id'], interactionId)
  assert.ok(world.lines.some((line) => line.includes(interactionId)))
  for (const given of ['abc', '', `${randomUUID()}x`, '<script>', 'x'.repeat(1_000)]) {
    const answer = await lodge({ headers: { 'x-fapi-interaction-id': given } })
    assert.deepEqual(errors(answer), [400, 'U006 x-fapi-interaction-id'], given)
    assert.match(String(answer.headers['x-fapi-interaction-id']), uuid)
  }
  for (const [method, path] of [
    ['GET', '/x'],
    ['PUT', '/aisp/accounts'],
    ['GET', '/aisp/accounts'],
    ['DELETE', '/aisp/account-access-consents/con_1'],
  ] as const)
    assert.equal(
      (await world.cobalt.send(method, uk + path, { headers: { 'x-fapi-interaction-id': interactionId } })).headers[
        'x-fapi-interaction-id'
      ],
      interactionId,
    )
})

test('RW-H-03 RW-H-04 RW-H-05 RW-H-14 RW-ERR-02 headers are checked together, each named', async () => {
  const good = {
    'x-fapi-auth-date': 'Sun, 10 Sep 2017 19:43:31 GMT',
    'x-fapi-customer-ip-address': '2001:db8::1',
    'x-customer-user-agent': 'Phone/1.0',
  }
  assert.equal((await lodge({ headers: good })).status, 201)
  assert.equal((await lodge({ headers: { ...good, 'x-fapi-customer-ip-address': '192.0.2.1' } })).status, 201)
  const bad = {
    'x-fapi-auth-date': '2017-09-10T19:43:31Z',
    'x-fapi-customer-ip-address': 'foo',
    'x-fapi-interaction-id': 'bar',
    'x-customer-user-agent': ['a', 'b'],
  }
  assert.deepEqual(errors(await lodge({ headers: bad })).toSorted(), [
    400,
    'U006 x-customer-user-agent',
    'U006 x-fapi-auth-date',
    'U006 x-fapi-customer-ip-address',
    'U006 x-fapi-interaction-id',
  ])
  for (const name of ['x-fapi-interaction-id', 'authorization', 'content-type']) {
    const value = name === 'content-type' ? 'application/json' : name === 'authorization' ? `Bearer ${tokens.accounts}` : randomUUID()
    assert.deepEqual(errors(await lodge({ headers: { [name]: [value, value] } })), [400, `U006 ${name}`])
  }
})

const malformed: [label: string, raw: string | Buffer][] = [
  ['nothing', ''],
  ['not JSON', '{'],
  ['a comment', '{} // x'],
  ['two documents', '{}{}'],
  ['NaN', '{"Data": NaN}'],
  ['single quotes', "{'Data': 1}"],
  ['a trailing comma', '{"Data": 1,}'],
  ['not UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
  ['a name twice', '{"Data": {}, "Risk": {}, "Data": {"a": 1}}'],
  ['a name twice, once escaped', '{"Risk": {}, "R\\u0069sk": {}}'],
  ['a name twice, deep down', '{"Data": {"Initiation": {"InstructedAmount": {"Amount": "1", "Amount": "2"}}}}'],
  ['deep nesting', `${'['.repeat(30_000)}${']'.repeat(30_000)}`],
  ['deep objects', `${'{"a":'.repeat(40)}1${'}'.repeat(40)}`],
]
for (const [label, raw] of malformed)
  test(`RW-ST-02 a body that is ${label} is 400 U010`, async () =>
    assert.deepEqual(errors(await lodgePayment(raw)), [400, 'U010 undefined']))

test('names that every object has, and names that could be markup, are unexpected; numbers that JSON cannot carry are invalid', async () => {
  const text = JSON.stringify(paymentConsentBody())
  assert.deepEqual(errors(await lodgePayment(text.replace('"Risk":{', '"Risk":{"__proto__":{"isAdmin":true},'))), [400, 'U005 Risk'])
  assert.deepEqual(errors(await lodgePayment(text.replace('"Risk":{', '"Risk":{"<b>":1,'))), [400, 'U005 Risk'])
  assert.deepEqual(errors(await lodgePayment(text.replace('"Risk":{', '"Risk":{"MerchantCategoryCode":1e400,'))).slice(0, 2), [
    400,
    'U010 undefined',
  ])
  assert.deepEqual(errors(await lodgePayment('{"Data":{"Amount":1e400},"Risk":{}}')), [400, 'U002 Data.Amount'])
  assert.equal(({} as { isAdmin?: boolean }).isAdmin, undefined)
})

test('a body over 64 kB is 413, whether its length is said before or not, and the connection is given up', async () => {
  const large = JSON.stringify({ Data: 'x'.repeat(70_000) })
  for (const headers of [{}, { 'content-length': undefined, 'transfer-encoding': 'chunked' }]) {
    const answer = await lodgePayment(large, headers)
    assert.deepEqual([answer.status, answer.headers['connection']], [413, 'close'])
  }
})

test('a client that goes away in the middle of its body is no fault of ours', async () => {
  const socket = tls.connect({
    host: 'localhost',
    port: world.api.port,
    ca: world.issuer.ca,
    servername: 'localhost',
    ...(await world.issuer.newClientCertificate()),
  })
  await once(socket, 'secureConnect')
  const certificate = socket.getCertificate() as { raw: Buffer }
  const cnf = { 'x5t#S256': createHash('sha256').update(new X509Certificate(certificate.raw).raw).digest('base64url') }
  const token = await world.tokenFor(world.cobalt, { scope: 'accounts', cnf })
  const interactionId = randomUUID()
  const headers = [
    `Authorization: Bearer ${token}`,
    `x-fapi-interaction-id: ${interactionId}`,
    'Content-Type: application/json',
    'Content-Length: 100',
  ]
  socket.write(`POST ${uk}/aisp/account-access-consents HTTP/1.1\r\nHost: localhost\r\n${headers.join('\r\n')}\r\n\r\n{"Data"`)
  setTimeout(() => socket.destroy(), 100)
  const lines = () => world.lines.map((line) => JSON.parse(line)).filter((line) => line.interactionId === interactionId)
  for (let waited = 0; waited < 50 && lines().length === 0; waited++) await sleep(50)
  assert.deepEqual(
    lines().map(({ msg, refusals }) => [msg, refusals]),
    [['request', ['body_malformed']]],
  )
})

test('a connection is kept after a refusal', async () => {
  for (const path of ['/x', '/aisp/accounts']) assert.notEqual((await world.cobalt.send('GET', uk + path)).headers['connection'], 'close')
  assert.notEqual((await lodge({ token: 'x' })).headers['connection'], 'close')
})

async function rawRequest(lines: string): Promise<string> {
  const socket = tls.connect({ host: 'localhost', port: world.api.port, ca: world.issuer.ca, servername: 'localhost' })
  await once(socket, 'secureConnect')
  socket.write(lines)
  return text(socket)
}

test('RW-ST-02 a POST that has no body, and says so by no header, is 400 U010', async () => {
  const path = `${uk}/aisp/account-access-consents`
  const token = await world.clientToken(world.acorn, 'accounts')
  const headers = [
    `Authorization: DPoP ${token}`,
    `DPoP: ${await world.acorn.prove('POST', path, token)}`,
    'Content-Type: application/json',
  ]
  const answer = await rawRequest(`POST ${path} HTTP/1.1\r\nHost: localhost\r\n${headers.join('\r\n')}\r\nConnection: close\r\n\r\n`)
  assert.match(answer, /^HTTP\/1\.1 400 [\s\S]*U010/)
})

test('RW-H-02 headers that are too long are 431, what is not HTTP is 400: each with an interaction id', async () => {
  const long = await rawRequest(`GET ${uk}/aisp/accounts HTTP/1.1\r\nHost: localhost\r\nx-long: ${'x'.repeat(20_000)}\r\n\r\n`)
  assert.match(long, /^HTTP\/1\.1 431 [\s\S]*x-fapi-interaction-id: [0-9a-f-]{36}\r\n/)
  assert.match(await rawRequest('NONSENSE\r\n\r\n'), /^HTTP\/1\.1 400 [\s\S]*x-fapi-interaction-id: /)
})

test('a Host header of somebody else changes no link', async () => {
  const answer = await lodge({ headers: { host: 'elsewhere.test', 'x-forwarded-host': 'elsewhere.test', 'x-forwarded-proto': 'http' } })
  assert.match(answer.body.Links.Self, /^https:\/\/rs\.bankside\.test\//)
})

test('NAT-A9 RW-H-11 D6 the same hardening headers on every answer, no CORS, no redirect (RW-ST-11)', () => {
  for (const { answer, path } of world.answers) {
    assert.equal(answer.headers['cache-control'], 'no-store', path)
    assert.match(String(answer.headers['strict-transport-security']), /max-age=\d{8}/)
    assert.equal(answer.headers['x-content-type-options'], 'nosniff')
    assert.ok(answer.headers['date'])
    assert.equal(answer.headers['access-control-allow-origin'], undefined)
    assert.equal(answer.headers['x-powered-by'], undefined)
    assert.equal(answer.status >= 300 && answer.status < 400, false)
    if (answer.text !== '' && path.startsWith(uk)) assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  }
})

test('NAT 4.5 a token for the one API does not open the other', async () => {
  assert.equal((await world.cobalt.send('GET', '/api/v1/accounts', { token: tokens.accounts })).status, 401)
  assert.equal((await world.app.send('GET', `${uk}/aisp/accounts`, { token: tokens.app })).status, 401)
})

test('RW-ST-10 a fault is 500 U000 with a reference, logged whole, and told to nobody', async () => {
  await world.owner.query(sql.unsafe`alter table ledger.account rename column nickname to broken`)
  const interactionId = randomUUID()
  const headers = { 'x-fapi-interaction-id': interactionId }
  const { Data } = (await lodge()).body
  const token = await world.authorise(world.cobalt, Data.ConsentId, world.ada, [world.ada.accounts[0]?.id as `acc_${string}`])
  const faulty = await world.cobalt.send('GET', `${uk}/aisp/accounts`, { token, headers })
  const native = await world.app.send('GET', '/api/v1/accounts', { token: tokens.app, headers })
  await world.owner.query(sql.unsafe`alter table ledger.account rename column broken to nickname`)
  assert.deepEqual([faulty.status, faulty.body.Id, faulty.body.Errors[0].ErrorCode], [500, interactionId, 'U000'])
  assert.deepEqual([native.status, native.body.code, native.body.instance], [500, 'internal_error', `urn:uuid:${interactionId}`])
  for (const answer of [faulty, native]) assert.doesNotMatch(answer.text, /nickname|column|select|at .*\.ts/i)
  const logged = world.lines.map((line) => JSON.parse(line)).filter((line) => line.interactionId === interactionId && line.msg === 'fault')
  assert.equal(logged.length, 2)
  assert.match(JSON.stringify(logged), /nickname/)
})

/** A way to the database that can be cut. */
async function breakableDatabase(url: string) {
  const target = new URL(url)
  const { hostname, port } = target
  const sockets = new Set<net.Socket>()
  const proxy = net.createServer((inbound) => {
    const outbound = net.connect(Number(port), hostname)
    for (const socket of [inbound, outbound]) sockets.add(socket.on('error', () => socket.destroy()))
    inbound.pipe(outbound).pipe(inbound)
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
  target.hostname = '127.0.0.1'
  target.port = String((proxy.address() as net.AddressInfo).port)
  const cut = () => {
    proxy.close()
    for (const socket of sockets) socket.destroy()
  }
  return { url: target.href, cut }
}

test('a database that does not answer: 503 with Retry-After, and not ready', async () => {
  const { url, cut } = await breakableDatabase(world.apiOptions.databaseUrl)
  const elsewhere = await startResourceApi({ ...world.apiOptions, registry: createMetrics('test'), databaseUrl: url })
  const client = await createTestClient({
    port: elsewhere.port,
    ca: world.issuer.ca,
    binding: 'mtls',
    certificate: await world.issuer.newClientCertificate(),
  })
  const token = await world.tokenFor(world.cobalt, { scope: 'accounts', cnf: client.cnf })
  const call = () => client.send('POST', `${uk}/aisp/account-access-consents`, { token, body: consent })
  assert.equal((await call()).status, 201)
  await elsewhere.checks.database()
  cut()
  for (const answer of [await call(), await call()]) {
    assert.deepEqual(errors(answer), [503, 'U000 undefined'])
    assert.match(String(answer.headers['retry-after']), /^\d+$/)
  }
  await assert.rejects(elsewhere.checks.database())
  client.close()
  await elsewhere.close()
})

test('a read that is refused costs no connection to the database', async () => {
  const { Data } = (await lodge()).body
  const token = await world.authorise(world.cobalt, Data.ConsentId, world.ada, [world.ada.accounts[0]?.id as `acc_${string}`])
  const backends = async () =>
    world.owner.anyFirst(
      sql.unsafe`select pid from pg_stat_activity where datname = current_database() and usename = 'bankside_resource_api' order by pid`,
    )
  const refused = () => world.cobalt.send('GET', `${uk}/aisp/accounts/acc_${'0'.repeat(32)}`, { token })
  await refused()
  const before = await backends()
  for (let n = 0; n < 10; n++) assert.equal((await refused()).status, 403)
  assert.deepEqual(await backends(), before)
})

test('requests are counted by route pattern, refusals by code', async () => {
  const lines = (await world.registry.metrics()).split('\n').filter((line) => line.startsWith('bankside_'))
  const counted = (name: string, ...labels: string[]) =>
    lines.some((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
  assert.ok(
    counted(
      'bankside_request_duration_seconds_count',
      'api="uk"',
      'method="POST"',
      'route="/aisp/account-access-consents"',
      'status="201"',
    ),
  )
  assert.ok(counted('bankside_refusals_total', 'api="uk"', 'code="path_unknown"'))
  assert.deepEqual(
    lines.filter((line) => /con_|acc_|foobar/.test(line)),
    [],
  )
})

test('what runs is finished when the process stops, and nothing new is accepted', async () => {
  const elsewhere = await startResourceApi({ ...world.apiOptions, registry: createMetrics('test') })
  const client = await createTestClient({
    port: elsewhere.port,
    ca: world.issuer.ca,
    binding: 'mtls',
    certificate: await world.issuer.newClientCertificate(),
  })
  const token = await world.tokenFor(world.cobalt, { scope: 'accounts', cnf: client.cnf })
  const running = Array.from({ length: 5 }, () => client.send('POST', `${uk}/aisp/account-access-consents`, { token, body: consent }))
  await Promise.race(running)
  await elsewhere.close()
  assert.deepEqual(new Set((await Promise.all(running)).map(({ status }) => status)), new Set([201]))
  await assert.rejects(client.send('GET', `${uk}/aisp/accounts`), { code: /ECONNREFUSED/ })
  client.close()
})
