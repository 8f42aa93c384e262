import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createMetrics } from '@bankside/service-kit/metrics'
import { sql } from '@bankside/service-kit/postgres'
import { startTestReplica, type TestReplica } from '@bankside/service-kit/test-replica'
import { startResourceApi } from './resource-api.ts'
import { createTestClient, type TestClient } from './testing/test-client.ts'
import { startTestWorld, type TestWorld } from './testing/test-world.ts'

const aisp = '/open-banking/v4.0/aisp'
const permissions = ['ReadAccountsDetail', 'ReadBalances', 'ReadTransactionsDetail', 'ReadTransactionsCredits', 'ReadTransactionsDebits']
const lagAtMostMs = 2_000
let servers: TestReplica
let world: TestWorld
let account: `acc_${string}`

before(async () => {
  servers = await startTestReplica()
  process.env['TEST_DATABASE_URL'] = servers.primaryUrl
  world = await startTestWorld({ replicaOf: (url) => ({ url: servers.atReplica(url), lagAtMostMs }) })
  account = world.ada.accounts[0]?.id as `acc_${string}`
})
after(async () => {
  await world.close()
  await servers.stop()
})

async function consented(client: TestClient = world.cobalt) {
  const token = await world.clientToken(client, 'accounts')
  const lodged = await client.send('POST', `${aisp}/account-access-consents`, {
    token,
    body: { Data: { Permissions: permissions }, Risk: {} },
  })
  const consentId: string = lodged.body.Data.ConsentId
  return { consentId, token: await world.authorise(client, consentId, world.ada, [account]) }
}
const get = async (token: string, path: string, client = world.cobalt) =>
  client.send('GET', `${aisp}/accounts/${account}${path}`, { token })
const newest = async (token: string) => {
  const { status, body, text } = await get(token, '/transactions')
  assert.equal(status, 200, text)
  // The replica may not even have the first.
  return body.Data.Transaction[0]?.Amount.Amount
}
const balance = async (token: string) => (await get(token, '/balances')).body.Data.Balance[1].Amount.Amount
const readsFrom = async (from: 'replica' | 'database') => {
  const { values } = (await world.registry.getSingleMetric('bankside_history_reads_total')?.get()) ?? { values: [] }
  return values.find(({ labels }) => labels['from'] === from)?.value ?? 0
}
const book = (minor: bigint) => world.book(account, [minor], new Date())
/** Asks until it is so: how long that takes is PostgreSQL's affair. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo()));
}
/** The replica answers, and has what the database has. */
const following = (token: string) =>
  until(async () => {
    const before = await readsFrom('replica')
    await newest(token)
    return (await readsFrom('replica')) > before
  })
const pause = () => servers.askReplica('select pg_wal_replay_pause()')
const goOn = () => servers.askReplica('select pg_wal_replay_resume()')

test('what was booked is read from the replica; what decides, and what a balance is, never', async () => {
  const { consentId, token } = await consented()
  await book(111n)
  await following(token)
  await until(async () => (await newest(token)) === '1.11')
  const [stale, fresh] = [await readsFrom('replica'), await readsFrom('database')]

  await pause()
  await book(222n)
  assert.equal(await balance(token), '1003.33')
  assert.equal(await newest(token), '1.11')
  assert.deepEqual([(await readsFrom('replica')) - stale, (await readsFrom('database')) - fresh], [1, 0])
  const withdrawn = await world.cobalt.send('DELETE', `${aisp}/account-access-consents/${consentId}`, {
    token: await world.clientToken(world.cobalt, 'accounts'),
  })
  assert.equal(withdrawn.status, 204)
  // The replica still has the consent.
  assert.equal((await get(token, '/transactions')).status, 401)
  await goOn()
})

test('RW-D-11 a page that follows on one which the replica has not got yet comes from the database', async () => {
  const { token } = await consented()
  const direct = await startResourceApi({ ...world.apiOptions, replica: undefined, registry: createMetrics('direct') })
  const certificate = await world.issuer.newClientCertificate()
  const client = await createTestClient({ port: direct.port, ca: world.issuer.ca, binding: 'mtls', certificate })
  const directToken = await tokenOf(client)
  await following(token)
  await pause()
  await world.book(account, Array(120).fill(5n), new Date(), 1)
  const first = await client.send('GET', `${aisp}/accounts/${account}/transactions`, { token: directToken })
  const next: string = first.body.Links.Next.replace('https://rs.bankside.test', '')
  const before = await readsFrom('replica')
  const second = await world.cobalt.send('GET', next, { token })
  assert.equal(await readsFrom('replica'), before)
  const described = (body: { Data: { Transaction: { TransactionInformation: string }[] } }) =>
    body.Data.Transaction.map(({ TransactionInformation }) => TransactionInformation)
  assert.deepEqual(
    [...described(first.body), ...described(second.body).slice(0, 20)],
    Array.from({ length: 120 }, (_, n) => `Booking ${119 - n}`),
  )
  await goOn()
  client.close()
  await direct.close()

  async function tokenOf(other: TestClient): Promise<string> {
    const { consentId } = await consented()
    const grantId = (await world.owner.oneFirst(
      sql.unsafe`select grant_id from consents.consent where consent_id = ${consentId}`,
    )) as string
    return world.issuer.mint({ clientId: 'cobalt-pay', cnf: other.cnf, scope: 'openid accounts', grantId, consentId })
  }
})

test('a replica that falls too far behind, or does not answer, is left alone, and comes back by itself', async () => {
  const { token } = await consented()
  await following(token)
  await pause()
  await book(333n)
  await until(async () => (await newest(token)) === '3.33')
  await goOn()
  await following(token)

  await servers.stopReplica()
  await book(444n)
  const before = await readsFrom('database')
  assert.equal(await newest(token), '4.44')
  assert.equal(await readsFrom('database'), before + 1)
  await servers.startReplica()
  await following(token)
  assert.match(await world.registry.metrics(), /bankside_replica_lag_seconds\{[^}]*\} \d/)
})

test('a replica in the place of the database is no database: nothing is decided there, nothing written, and the process is not ready', async () => {
  const { token } = await consented()
  const databaseUrl = servers.atReplica(world.apiOptions.databaseUrl)
  const misled = await startResourceApi({ ...world.apiOptions, databaseUrl, replica: undefined, registry: createMetrics('misled') })
  const certificate = await world.issuer.newClientCertificate()
  const client = await createTestClient({ port: misled.port, ca: world.issuer.ca, binding: 'mtls', certificate })
  for (const path of ['/balances', '/transactions', '']) {
    const answer = await client.send('GET', `${aisp}/accounts/${account}${path}`, {
      token: await world.tokenFor(world.cobalt, { scope: 'openid accounts', grantId: 'any', cnf: client.cnf }),
    })
    assert.deepEqual([answer.status, Number(answer.headers['retry-after']) > 0], [503, true])
  }
  const lodged = await client.send('POST', `${aisp}/account-access-consents`, {
    token: await world.issuer.mint({ clientId: 'cobalt-pay', cnf: client.cnf, scope: 'accounts' }),
    body: { Data: { Permissions: permissions }, Risk: {} },
  })
  assert.equal(lodged.status, 503)
  await assert.rejects(misled.checks.database(), { name: 'Unavailable' })
  client.close()
  await misled.close()
  assert.equal((await get(token, '/balances')).status, 200)
})

test('a database that is read-only for a while refuses what would be written with 503, and reads go on', async () => {
  const { token } = await consented()
  const name = new URL(world.apiOptions.databaseUrl).pathname.slice(1)
  const setReadOnly = async (value: 'on' | 'off') => {
    await world.owner.query(
      sql.unsafe`alter role bankside_resource_api in database ${sql.identifier([name])} set default_transaction_read_only = ${sql.literalValue(value)}`,
    )
    await world.owner.query(
      sql.unsafe`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'bankside_resource_api' and datname = ${name}`,
    )
  }
  await setReadOnly('on')
  const send = () =>
    world.clientToken(world.cobalt, 'accounts').then((own) =>
      world.cobalt.send('POST', `${aisp}/account-access-consents`, {
        token: own,
        body: { Data: { Permissions: permissions }, Risk: {} },
      }),
    )
  const refused = await send()
  assert.deepEqual([refused.status, Number(refused.headers['retry-after']) > 0], [503, true])
  await until(async () => (await get(token, '/balances')).status === 200)
  assert.equal((await send()).status, 503)
  await setReadOnly('off')
  await until(async () => (await send()).status === 201)
})
