import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AccountId } from '@bankside/bank/ids'
import { growTables, readMore, readsOf } from '@bankside/bank/payments/testing/grow-tables'
import { sql } from '@bankside/service-kit/postgres'
import { paymentConsentBody } from './testing/payment-bodies.ts'
import { startTestWorld, type TestWorld } from './testing/test-world.ts'

const [aisp, pisp, bankApi] = ['/open-banking/v4.0/aisp', '/open-banking/v4.0/pisp', '/api/v1']
/** The second time of all that there is after the first. */
const copies = 30
const tolerated = 100
let world: TestWorld
before(async () => {
  world = await startTestWorld()
})
after(() => world.close())

const open = sql.fragment`from pg_stat_activity where datname = current_database() and usename = 'bankside_resource_api'`

/** The process opens its connections again when it needs them; until then it has planned nothing. */
async function endConnections(): Promise<void> {
  await world.owner.query(sql.unsafe`select pg_terminate_backend(pid) ${open}`)
  while ((await world.owner.any(sql.unsafe`select ${open}`)).length > 0) await sleep(10)
}

async function requests() {
  const ada = world.ada.accounts[0]?.id as AccountId
  const of = async (kind: 'accounts' | 'payments') => world.clientToken(world.acorn, kind)
  const key = () => ({ 'x-idempotency-key': randomUUID() })
  const permissions = ['ReadAccountsDetail', 'ReadBalances', 'ReadTransactionsDetail', 'ReadTransactionsCredits', 'ReadTransactionsDebits']
  const lodge = { Data: { Permissions: permissions }, Risk: {} }
  const lodged = await world.acorn.send('POST', `${aisp}/account-access-consents`, { token: await of('accounts'), body: lodge })
  const token = await world.authorise(world.acorn, lodged.body.Data.ConsentId, world.ada, [ada])
  const app = await world.appToken(world.ada)
  const reads = async () => {
    for (const path of ['/accounts', `/accounts/${ada}`, `/accounts/${ada}/balances`, `/accounts/${ada}/transactions`])
      assert.equal((await world.acorn.send('GET', aisp + path, { token })).status, 200, path)
    for (const path of ['/accounts', `/accounts/${ada}/balance`, `/accounts/${ada}/transactions`, '/beneficiaries'])
      assert.equal((await world.app.send('GET', bankApi + path, { token: app })).status, 200, path)
  }
  const pays = async () => {
    const body = paymentConsentBody({ amount: '1.00' })
    const consent = await world.acorn.send('POST', `${pisp}/domestic-payment-consents`, {
      token: await of('payments'),
      body,
      headers: key(),
    })
    const consentId: string = consent.body.Data.ConsentId
    const payer = await world.authorise(world.acorn, consentId, world.ada, [ada])
    const payment = { Data: { ConsentId: consentId, Initiation: body.Data.Initiation }, Risk: body.Risk }
    const paid = await world.acorn.send('POST', `${pisp}/domestic-payments`, { token: payer, body: payment, headers: key() })
    assert.equal(paid.status, 201, paid.text)
    const id: string = paid.body.Data.DomesticPaymentId
    assert.equal((await world.acorn.send('GET', `${pisp}/domestic-payments/${id}`, { token: await of('payments') })).status, 200)
  }
  return async () => {
    await reads()
    await pays()
  }
}

test('what requests read does not grow with the bank, on connections that were there before and on new ones', async () => {
  const ask = await requests()
  await ask()
  await growTables(world.owner, copies)
  await endConnections()
  await readsOf(world.owner)
  await ask()
  await endConnections()
  const before = await readsOf(world.owner)
  await ask()
  await growTables(world.owner, copies)
  await readsOf(world.owner)
  await ask()
  await endConnections()
  assert.deepEqual(readMore(before, await readsOf(world.owner), { tolerated, times: 2 }), [], 'connections from before')
  await ask()
  await endConnections()
  assert.deepEqual(readMore(before, await readsOf(world.owner), { tolerated }), [], 'new connections')
})
