import assert from 'node:assert/strict'
import { after, before, mock, test } from 'node:test'
import { registerClient } from '@bankside/bank/clients/register-client'
import { sql, transact } from '@bankside/service-kit/postgres'
import { startTestServer, type TestServer } from '../testing/test-server.ts'
import { ThirdParty } from '../testing/third-party.ts'

let server: TestServer

before(async () => {
  server = await startTestServer()
})
after(() => server.stop())

const cc = { grant_type: 'client_credentials', scope: 'accounts' }
const change = (statement: ReturnType<typeof sql.unsafe>) => transact(server.owner, (tx) => tx.query(statement))

test('a client that is blocked is unknown to the very next request, and known again when it is let back', async () => {
  const acorn = await ThirdParty.register(server, 'tpp-blocked')
  const statuses: number[] = []
  for (const status of ['active', 'blocked', 'active', 'blocked']) {
    await change(sql.unsafe`update clients.client set status = ${status} where client_id = 'tpp-blocked'`)
    statuses.push((await acorn.token(cc)).status)
  }
  assert.deepEqual(statuses, [200, 401, 200, 401])
})

test('a key that is registered instead of another counts with the next request, though no time has passed', async () => {
  const acorn = await ThirdParty.register(server, 'tpp-rekeyed')
  const [{ metadata, updated_at }] = [
    await server.owner.one(sql.unsafe`select metadata, updated_at from clients.client where client_id = 'tpp-rekeyed'`),
  ] as [{ metadata: object; updated_at: Date }]
  assert.equal((await acorn.token(cc)).status, 200)
  const other = await ThirdParty.register(server, 'tpp-other-key')
  const { jwks } = (
    (await server.owner.one(sql.unsafe`select metadata from clients.client where client_id = 'tpp-other-key'`)) as {
      metadata: { jwks: object }
    }
  ).metadata
  await transact(server.owner, (tx) =>
    registerClient(tx, {
      clientId: 'tpp-rekeyed',
      profile: 'fapi2_sp',
      name: 'x',
      firstParty: false,
      metadata: { ...metadata, jwks },
      now: updated_at,
    }),
  )
  assert.equal((await acorn.token(cc)).status, 401)
  const swapped = Object.assign(Object.create(acorn) as ThirdParty, { signingKey: other.signingKey })
  assert.equal((await swapped.token(cc)).status, 200)
})

test('the work of making a client is done once, not with each request', async () => {
  const acorn = await ThirdParty.register(server, 'tpp-remembered')
  await acorn.token(cc)
  const parsed = mock.method(JSON, 'parse')
  await Promise.all([1, 2, 3].map(() => acorn.token(cc)))
  const texts = parsed.mock.calls.map(({ arguments: [text] }) => String(text))
  parsed.mock.restore()
  assert.deepEqual(
    texts.filter((text) => text.includes('redirect_uris')),
    [],
  )
})

test('an assertion with an unknown key, or of a client that is unknown, costs no signature', async () => {
  const acorn = await ThirdParty.register(server, 'tpp-cheap')
  const verified = mock.method(crypto.subtle, 'verify')
  const imported = mock.method(crypto.subtle, 'importKey')
  try {
    const unknownKey = await acorn.post('/token', { ...cc, client_assertion: await acorn.assertion({}, { kid: 'nobody' }) })
    const unknownClient = await acorn.post('/token', { ...cc, client_assertion: await acorn.assertion({ iss: 'nobody', sub: 'nobody' }) })
    assert.deepEqual([unknownKey.status, unknownClient.status], [401, 401])
    assert.deepEqual([verified.mock.callCount(), imported.mock.callCount()], [0, 0])
  } finally {
    verified.mock.restore()
    imported.mock.restore()
  }
})
