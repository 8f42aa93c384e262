import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { newAccountId } from '@bankside/bank/ids'
import { sql } from '@bankside/service-kit/postgres'
import { assertOwn, definition } from '../testing/own-definition.ts'
import type { Answer } from '../testing/test-client.ts'
import { audiences } from '../testing/test-issuer.ts'
import { everyScope, type Person, startTestWorld, type TestWorld } from '../testing/test-world.ts'
import { bankRoutes } from './routes.ts'

const api = '/api/v1'
let world: TestWorld
let token: string

before(async () => {
  world = await startTestWorld()
  token = await world.appToken(world.ada)
})
after(() => world.close())

const get = (path: string, as = token) => world.app.send('GET', api + path, { token: as })
const account = (person: Person, index = 0) => person.accounts[index]?.id ?? ('' as never)
const problem = ({ status, body }: Answer) => [status, body.code]

test('NAT-A10 the document describes each route that is served, and no other, with its operation and scope', () => {
  const described = Object.entries(definition['paths'] ?? {}).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => ['get', 'post', 'delete'].includes(method))
      .map(([method, operation]) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')} ${operation['operationId']}`),
  )
  assert.deepEqual(described.toSorted(), bankRoutes.map(({ method, path, door }) => `${method} ${path} ${door.operation}`).toSorted())
})

const reads = ['/users/me', '/accounts', '/accounts/:id', '/accounts/:id/transactions', '/transactions/pay_1', '/beneficiaries']

test('NAT-S1 NAT 4.3 a token of a client itself reaches nothing: 403', async () => {
  const own = await world.tokenFor(world.app, { scope: everyScope, audience: audiences.bank })
  for (const path of reads) assert.deepEqual(problem(await get(path.replace(':id', account(world.ada)), own)), [403, 'no_user'], path)
})

test('NAT-S1 FAPI2-RS-04 without its scope each is 403 insufficient_scope, and the scope is named', async () => {
  const poor = await world.appToken(world.ada, { scope: 'openid' })
  const scopes = ['profile', 'accounts:read', 'accounts:read', 'transactions:read', 'transactions:read', 'beneficiaries:read']
  for (const [index, path] of reads.entries()) {
    const answer = await get(path.replace(':id', account(world.ada)), poor)
    assert.deepEqual(problem(answer), [403, 'insufficient_scope'], path)
    assert.match(String(answer.headers['www-authenticate']), new RegExp(`^DPoP error="insufficient_scope", scope="${scopes[index]}"`))
  }
})

test('NAT 4.3 a third party is no app of the bank: 403, whatever its token says', async () => {
  const stolen = await world.tokenFor(world.acorn, { scope: everyScope, audience: audiences.bank, grantId: 'x' })
  for (const path of reads) assert.equal((await world.acorn.send('GET', api + path, { token: stolen })).status, 403)
})

test('RW-H-01 without a token 401 with a problem and both schemes; a token in the URL 400', async () => {
  const answer = await world.app.send('GET', `${api}/accounts`)
  assert.deepEqual(problem(answer), [401, 'unauthorized'])
  assert.match(String(answer.headers['www-authenticate']), /^DPoP algs="ES256 PS256 EdDSA Ed25519", Bearer$/)
  assert.deepEqual(problem(await world.app.send('GET', `${api}/accounts?access_token=${token}`)), [400, 'invalid_request'])
})

test('NAT-S2 an account of somebody else, an unknown one and a malformed one are 404, to the letter the same', async () => {
  for (const suffix of ['', '/transactions']) {
    const answers = []
    for (const id of [account(world.ben), newAccountId(), 'acc_1', 'x', '%00']) {
      const answer = await get(`/accounts/${id}${suffix}`)
      answers.push(JSON.stringify([answer.status, { ...answer.body, instance: '' }]))
    }
    assert.equal(new Set(answers).size, 1)
    assert.match(answers[0] ?? '', /^\[404,/)
  }
})

test('NAT-01 NAT-S1 who I am: the phone is masked', async () => {
  const { status, body } = await get('/users/me')
  assert.equal(status, 200)
  assert.deepEqual(
    { ...body, sub: '', created_at: '' },
    { sub: '', name: 'Ada Byron', email: 'ada@example.test', email_verified: true, phone: '+** **** ***123', created_at: '' },
  )
})

test('NAT-02 NAT-03 NAT-A3 my accounts and one of them, with balances in whole numbers', async () => {
  const { body } = await get('/accounts')
  assert.deepEqual(new Set(body.accounts.map(({ id }: { id: string }) => id)), new Set(world.ada.accounts.map(({ id }) => id)))
  const one = await get(`/accounts/${account(world.ada)}`)
  assert.deepEqual(
    one.body,
    body.accounts.find(({ id }: { id: string }) => id === account(world.ada)),
  )
  assert.deepEqual(one.body.balance, { current_cents: 100_000, held_cents: 0, available_cents: 100_000 })
  assert.deepEqual(
    [one.body.type, one.body.sort_code, one.body.account_number, one.body.iban],
    ['current', '040404', world.ada.accounts[0]?.accountNumber, world.ada.accounts[0]?.iban],
  )
})

test('NAT-04 NAT-S8 NAT-A7 pages: 20 by default, up to 100, empty behind the end; their union is the statement', async () => {
  await world.book(
    account(world.ada, 2),
    Array.from({ length: 44 }, (_, n) => BigInt(n + 1)),
    new Date('2031-01-01T00:00:00Z'),
  )
  const path = `/accounts/${account(world.ada, 2)}/transactions`
  const seen: string[] = []
  for (const [page, expected, more] of [
    [1, 20, true],
    [2, 20, true],
    [3, 5, false],
    [4, 0, false],
    [999_999, 0, false],
  ] as const) {
    const { status, body } = await get(`${path}?page=${page}`)
    const { next_cursor, ...paging } = body.paging
    assert.deepEqual([status, body.transactions.length, paging], [200, expected, { page, limit: 20, has_more: more, total: 45 }])
    assert.equal(typeof next_cursor, more ? 'string' : 'undefined')
    seen.push(...body.transactions.map(({ id }: { id: string }) => id))
  }
  assert.equal(new Set(seen).size, 45)
  const all = await get(`${path}?limit=100`)
  assert.deepEqual(
    all.body.transactions.map(({ id }: { id: string }) => id),
    seen,
  )
  assert.deepEqual(
    [all.body.transactions[0].amount_cents, all.body.transactions[0].direction, all.body.transactions[0].currency],
    [44, 'credit', 'EUR'],
  )
})

test('NAT-S8 a page or limit that is none is 400, both told at once', async () => {
  const path = `/accounts/${account(world.ada)}/transactions`
  for (const bad of ['0', '-1', 'abc', '1.5', '', '1e2', '+1', ' 1', '0x10', '99999999', 'NaN']) {
    const query = new URLSearchParams({ page: bad })
    assert.deepEqual(problem(await get(`${path}?${query}`)), [400, 'validation_error'], bad)
  }
  assert.deepEqual(problem(await get(`${path}?limit=1000`)), [400, 'validation_error'])
  assert.deepEqual(problem(await get(`${path}?limit=101`)), [400, 'validation_error'])
  assert.deepEqual(problem(await get(`${path}?page=1&page=2`)), [400, 'validation_error'])
  const { body } = await get(`${path}?page=0&limit=x`)
  assert.deepEqual(
    body.errors.map(({ parameter }: { parameter: string }) => parameter),
    ['page', 'limit'],
  )
})

test('FAPI2-RS-03 a grant that ended opens nothing: 401', async () => {
  const doomed = await world.appToken(world.ben)
  assert.equal((await get('/accounts', doomed)).status, 200)
  await world.owner.query(sql.unsafe`update oidc.grant set revoked_at = now() where customer_id = ${world.ben.customerId}`)
  const answer = await get('/accounts', doomed)
  assert.deepEqual(problem(answer), [401, 'invalid_token'])
  assert.match(String(answer.headers['www-authenticate']), /^DPoP error="invalid_token"/)
})

test('RW-H-07 406 and 405 are problems too', async () => {
  const answer = await world.app.send('GET', `${api}/accounts`, { token, headers: { accept: 'text/html' } })
  assert.deepEqual(problem(answer), [406, 'not_acceptable'])
  assert.equal((await world.app.send('GET', `${api}/accounts`, { token, headers: { accept: 'application/problem+json' } })).status, 200)
  assert.deepEqual(problem(await world.app.send('DELETE', `${api}/accounts`, { token })), [405, 'method_not_allowed'])
})

test('NAT-A10 every answer of this file is one that our own document allows', () => {
  for (const answered of world.answers) assertOwn(answered)
})
