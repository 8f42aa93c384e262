import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, afterEach, before, test } from 'node:test'
import { newBackchannelRequestId } from '@bankside/bank/ids'
import { createAuthority } from '@bankside/certs/authority'
import { issueServerCertificate } from '@bankside/certs/sandbox-credentials'
import { createGuardedFetch, type GuardedFetch } from '@bankside/service-kit/guarded-fetch'
import { type Database, openDatabase, sql, z } from '@bankside/service-kit/postgres'
import { seal } from '@bankside/service-kit/seal'
import { createTestDatabase, type TestDatabase } from '@bankside/service-kit/test-database'
import { deliverNotifications, notificationAttemptsLimit } from './deliver-notifications.ts'

const noon = new Date('2026-11-28T12:00:00Z')
const later = (seconds: number) => new Date(noon.getTime() + seconds * 1000)
const key = randomBytes(32)

let testDatabase: TestDatabase
let owner: Database
let worker: Database
let server: https.Server
let call: GuardedFetch
let port: number

type Received = {
  readonly method: string | undefined
  readonly path: string | undefined
  readonly headers: Record<string, unknown>
  readonly body: string
}
const received: Received[] = []
let respond: (path: string) => {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: string
  readonly never?: boolean
}

before(async () => {
  testDatabase = await createTestDatabase()
  owner = await openDatabase(testDatabase.ownerUrl)
  worker = await openDatabase(testDatabase.workerUrl)
  const authority = await createAuthority({ commonName: 'Test authority', now: new Date() })
  const credential = await issueServerCertificate(authority, { keyKind: 'ec', now: new Date() })
  server = https.createServer({ key: credential.key, cert: credential.cert }, async (request, response) => {
    const { method, url: path = '', headers } = request
    received.push({ method, path, headers, body: await text(request) })
    const { status, headers: answered = {}, body = '', never = false } = respond(path)
    if (!never) response.writeHead(status, answered).end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
  call = createGuardedFetch({ ca: authority.cert, privateHosts: [`localhost:${port}`], timeoutMs: 1_000 })
  await owner.query(sql.unsafe`
    insert into clients.client (client_id, profile, name, first_party, metadata, status, created_at, updated_at)
    values ('kestrel', 'fapi_ciba', 'Kestrel', false, '{}', 'active', now(), now()), ('blocked', 'fapi_ciba', 'B', false, '{}', 'blocked', now(), now())`)
})
afterEach(async () => {
  received.length = 0
  await owner.query(sql.unsafe`delete from oidc.backchannel_notification`)
})
after(async () => {
  server.close()
  server.closeAllConnections()
  await Promise.all([owner.end(), worker.end()])
  await testDatabase.drop()
})

type Notice = {
  readonly endpoint?: string
  readonly clientId?: string
  readonly due?: Date | null
  readonly expiresAt?: Date
  readonly sealedWith?: Buffer
}

async function notify({
  endpoint,
  clientId = 'kestrel',
  due = noon,
  expiresAt = later(300),
  sealedWith = key,
}: Notice = {}): Promise<string> {
  const requestId = newBackchannelRequestId()
  const secrets = JSON.stringify({ auth_req_id: `id of ${requestId}`, client_notification_token: 'token.1' })
  const sealed = seal(sealedWith, secrets, `oidc.backchannel_notification/${requestId}/secrets`)
  await owner.query(sql.unsafe`
    insert into oidc.backchannel_notification (request_id, client_id, endpoint, secrets_sealed, expires_at, attempts, next_attempt_at)
    values (${requestId}, ${clientId}, ${endpoint ?? `https://localhost:${port}/ping`}, ${sql.binary(sealed)}, ${sql.timestamp(expiresAt)}, 0,
      ${due === null ? null : sql.timestamp(due)})`)
  return requestId
}

const deliver = (now = noon, keys: readonly Buffer[] = [key]) => deliverNotifications(worker, { now, limit: 10, keys, call })

const state = (requestId: string) =>
  owner.one(sql.type(stateRow)`
    select attempts, next_attempt_at, delivered_at is not null as delivered, given_up_at is not null as given_up, last_error
    from oidc.backchannel_notification where request_id = ${requestId}`)
const stateRow = z.object({
  attempts: z.number(),
  next_attempt_at: z.date().nullable(),
  delivered: z.boolean(),
  given_up: z.boolean(),
  last_error: z.string().nullable(),
})

test('CIBA-10 one POST with the client’s token as bearer, the auth_req_id and nothing else; once', async () => {
  respond = () => ({ status: 204 })
  const requestId = await notify()
  assert.equal(await deliver(), 1)
  const [{ method, path, headers, body }] = received as [Received]
  assert.deepEqual([method, path, body], ['POST', '/ping', JSON.stringify({ auth_req_id: `id of ${requestId}` })])
  assert.deepEqual([headers['authorization'], headers['content-type']], ['Bearer token.1', 'application/json'])
  assert.equal(await deliver(later(600)), 0)
  assert.equal(received.length, 1)
  assert.ok((await state(requestId)).delivered)
})

test('CIBA-10 a 200 with a body is as good as a 204', async () => {
  respond = () => ({ status: 200, headers: { 'content-type': 'application/json' }, body: '{"thanks":true}' })
  const requestId = await notify()
  await deliver()
  assert.ok((await state(requestId)).delivered)
})

for (const status of [400, 401, 403, 404, 410, 422])
  test(`CIBA-10 a ${status} is final: the client is not called again`, async () => {
    respond = () => ({ status })
    const requestId = await notify()
    await deliver()
    assert.equal(await deliver(later(100)), 0)
    assert.equal(received.length, 1)
    const { given_up, last_error } = await state(requestId)
    assert.deepEqual([given_up, last_error], [true, `answered ${status}`])
  })

for (const status of [301, 302, 303, 307, 308])
  test(`CIBA-10 a redirect (${status}) is not followed, and not tried again`, async () => {
    respond = (path) => (path === '/ping' ? { status, headers: { location: `https://localhost:${port}/elsewhere` } } : { status: 204 })
    const requestId = await notify()
    await deliver()
    await deliver(later(100))
    assert.deepEqual(
      received.map(({ path }) => path),
      ['/ping'],
    )
    assert.ok((await state(requestId)).given_up)
  })

for (const [what, answer] of [
  ['a 503', { status: 503 }],
  ['a 429', { status: 429 }],
  ['no answer in time', { status: 0, never: true }],
] as const)
  test(`CIBA-10 after ${what} it is tried again, later and later, and then given up`, async () => {
    respond = () => answer
    const requestId = await notify({ expiresAt: later(3_600) })
    let now = noon
    let gapBefore = 0
    for (let attempt = 1; attempt < notificationAttemptsLimit; attempt++) {
      assert.equal(await deliver(now), 1)
      const { next_attempt_at } = await state(requestId)
      const gap = (next_attempt_at?.getTime() ?? 0) - now.getTime()
      assert.ok(gap > gapBefore)
      assert.equal(await deliver(new Date(now.getTime() + gap - 1)), 0, 'not before')
      gapBefore = gap
      now = new Date(now.getTime() + gap)
    }
    await deliver(now)
    assert.ok((await state(requestId)).given_up)
    assert.equal(received.length, notificationAttemptsLimit)
  })

test('CIBA-10 nobody is called about a request whose time is over, nor before it was decided', async () => {
  respond = () => ({ status: 503 })
  const requestId = await notify({ expiresAt: later(1) })
  const undecided = await notify({ due: null })
  await deliver()
  assert.ok((await state(requestId)).given_up)
  assert.deepEqual([(await state(undecided)).attempts, received.length], [0, 1])
})

test('CIBA-10 a client that is blocked is not called', async () => {
  respond = () => ({ status: 204 })
  await notify({ clientId: 'blocked' })
  assert.equal(await deliver(), 0)
  assert.equal(received.length, 0)
})

test('CIBA-10 ATK-SSRF an endpoint inside the bank’s network, or without TLS, is not called', async () => {
  respond = () => ({ status: 204 })
  const inside = [
    'https://127.0.0.1:1/',
    'https://10.0.0.1/',
    'https://169.254.169.254/latest',
    'https://[::1]:1/',
    'https://0/',
    `http://localhost:${port}/ping`,
  ]
  for (const endpoint of inside) {
    const requestId = await notify({ endpoint })
    await deliver()
    const { given_up, last_error } = await state(requestId)
    assert.deepEqual([given_up, last_error], [true, 'not_allowed'], endpoint)
  }
  assert.equal(received.length, 0)
})

test('CIBA-10 an answer without end is not read to its end', async () => {
  respond = () => ({ status: 200, body: 'x'.repeat(1_000_000) })
  const requestId = await notify()
  await deliver()
  assert.equal((await state(requestId)).last_error, 'too_large')
})

test('CIBA-10 of eight workers at once one calls; one that dies after it took a notification leaves it to another', async () => {
  respond = () => ({ status: 204 })
  const requestId = await notify()
  const calls = await Promise.all(Array.from({ length: 8 }, () => deliver()))
  assert.equal(
    calls.reduce((sum, one) => sum + one),
    1,
  )
  assert.equal(received.length, 1)

  const taken = await notify()
  const dies = { now: noon, limit: 10, keys: [key], call: () => Promise.reject(new Error('killed here')) }
  await assert.rejects(deliverNotifications(worker, dies), /killed here/)
  assert.equal(await deliver(later(5)), 0, 'it may still be at it')
  assert.equal(await deliver(later(60)), 1)
  assert.ok((await state(taken)).delivered && (await state(requestId)).delivered)
})

test('CIBA-10 one slow or broken client does not keep others waiting', async () => {
  respond = (path) => (path === '/slow' ? { status: 0, never: true } : { status: 204 })
  await notify({ endpoint: `https://localhost:${port}/slow` })
  const others = await Promise.all(Array.from({ length: 5 }, () => notify()))
  assert.equal(await deliver(), 6)
  for (const other of others) assert.ok((await state(other)).delivered)
})

test('CIBA-10 keys rotate: what an older key sealed is opened while it is there, and given up when it is not', async () => {
  respond = () => ({ status: 204 })
  const [older, another] = [randomBytes(32), randomBytes(32)]
  const [opens, lost] = [await notify({ sealedWith: older }), await notify({ sealedWith: another })]
  await deliver(noon, [key, older])
  assert.ok((await state(opens)).delivered)
  assert.ok((await state(lost)).given_up)
})
