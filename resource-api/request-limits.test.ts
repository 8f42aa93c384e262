import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestWorld, type TestWorld } from './testing/test-world.ts'

let world: TestWorld

before(async () => {
  world = await startTestWorld({ rates: { perAddress: 100_000, perClient: 4, perCustomer: 2, writes: 1 } })
})
after(() => world.close())

const times = <Result>(count: number, work: () => Promise<Result>) => Promise.all(Array.from({ length: count }, work))
const statuses = (answers: readonly { status: number }[]) => answers.map(({ status }) => status).join(' ')
const refusedOf = <Answer extends { status: number }>(answers: readonly Answer[]) => {
  const refused = answers.filter(({ status }) => status === 429)
  assert.ok(refused.length > 0, statuses(answers))
  return refused
}
const consents = '/open-banking/v4.0/aisp/account-access-consents/con_00000000000000000000000000000000'

test('RW-ST-09 RW-H-12 a third party that asks too often is told 429 with Retry-After and no body, and another is served', async () => {
  const token = await world.clientToken(world.acorn, 'accounts')
  const flood = await times(150, () => world.acorn.send('GET', consents, { token }))
  for (const { headers, text } of refusedOf(flood)) {
    assert.match(String(headers['retry-after']), /^[1-9]\d*$/)
    assert.match(String(headers['x-fapi-interaction-id']), /^[0-9a-f-]{36}$/)
    assert.equal(text, '')
  }
  const other = await world.cobalt.send('GET', consents, { token: await world.clientToken(world.cobalt, 'accounts') })
  assert.equal(other.status, 400)
})

test('NAT-S9 a customer who asks too often is told so as a problem, and another customer of the same app is served', async () => {
  const [ada, ben] = [await world.appToken(world.ada), await world.appToken(world.ben)]
  const flood = await times(100, () => world.app.send('GET', '/api/v1/accounts', { token: ada }))
  for (const { headers, body } of refusedOf(flood)) {
    assert.match(String(headers['retry-after']), /^[1-9]\d*$/)
    assert.deepEqual([body.status, body.code], [429, 'rate_limited'])
  }
  assert.equal((await world.app.send('GET', '/api/v1/accounts', { token: ben })).status, 200)
})

test('NAT-S9 writing has less room than reading', async () => {
  const carol = await world.newPerson()
  const token = await world.appToken(carol)
  const writes = await times(18, () =>
    world.app.send('POST', '/api/v1/transactions/transfer', { token, body: {}, headers: { 'idempotency-key': 'one' } }),
  )
  refusedOf(writes)
  assert.equal((await world.app.send('GET', '/api/v1/accounts', { token })).status, 200)
})

test('RW-ST-09 what has no token of ours counts by its address, and takes nothing from a third party', async () => {
  const narrow = await startTestWorld({ rates: { perAddress: 20, perClient: 1, perCustomer: 1, writes: 1 } })
  try {
    const forged = () => narrow.cobalt.send('GET', consents, { token: 'forged' })
    const flood = await times(30, forged)
    assert.deepEqual([...new Set(flood.map(({ status }) => status))], [401])
    const token = await narrow.clientToken(narrow.cobalt, 'accounts')
    assert.equal((await narrow.cobalt.send('GET', consents, { token })).status, 400)
    refusedOf(await times(400, forged))
  } finally {
    await narrow.close()
  }
})
