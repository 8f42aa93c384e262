import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { lodgeAccountInformation } from '@bankside/bank/consents/account-information-detail'
import { lodgePaymentInitiation } from '@bankside/bank/consents/payment-detail'
import { sql, transact } from '@bankside/service-kit/postgres'
import { assertAllOfficial, definitionsMissing } from '../testing/official-definitions.ts'
import { startTestWorld, type TestWorld } from '../testing/test-world.ts'

const aisp = '/open-banking/v4.0/aisp'
const pisp = '/open-banking/v4.0/pisp'
let world: TestWorld

before(async () => {
  world = await startTestWorld()
})
after(() => world.close())

const clientId = 'acorn-money'
const asked = {
  permissions: ['ReadAccountsBasic', 'ReadBalances', 'ReadTransactionsBasic', 'ReadTransactionsCredits'],
  expirationDateTime: '2099-01-01T00:00:00+01:00',
  transactionFromDateTime: '2026-01-01T00:00:00Z',
}
const information = () =>
  transact(world.owner, (tx) =>
    lodgeAccountInformation(tx, { clientId, detail: { type: 'account_information', ...asked }, now: world.clock.now() }),
  )
const payment = {
  type: 'payment_initiation',
  instructionIdentification: 'ACME412',
  endToEndIdentification: 'FRESCO.21302.GFX.20',
  instructedAmount: { amount: '165.88', currency: 'GBP' },
  creditorAccount: { schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '08080021325698', name: 'ACME Inc' },
  remittanceInformation: { reference: 'FRESCO-101', unstructured: 'Internal ops code 5120101' },
  readRefundAccount: true,
}
const initiation = () => transact(world.owner, (tx) => lodgePaymentInitiation(tx, { clientId, detail: payment, now: world.clock.now() }))

test('RAR-05 AIS-01 CON-04 a consent that came as a detail is served as one that was lodged with the same words', async () => {
  const token = await world.clientToken(world.acorn, 'accounts')
  const [byDetail, lodged] = [
    await information(),
    await world.acorn.send('POST', `${aisp}/account-access-consents`, {
      token,
      body: {
        Data: {
          Permissions: asked.permissions,
          ExpirationDateTime: asked.expirationDateTime,
          TransactionFromDateTime: asked.transactionFromDateTime,
        },
        Risk: {},
      },
    }),
  ]
  const read = await world.acorn.send('GET', `${aisp}/account-access-consents/${byDetail.id}`, { token })
  assert.equal(read.status, 200)
  const same = ({ ConsentId: _id, CreationDateTime: _created, StatusUpdateDateTime: _updated, ...data }: Record<string, unknown>) => data
  assert.deepEqual(same(read.body.Data), same(lodged.body.Data))
  const gone = await world.acorn.send('DELETE', `${aisp}/account-access-consents/${byDetail.id}`, { token })
  assert.equal(gone.status, 204)
})

test('RAR-05 PIS-13 PIS-08 a payment that came as a detail is read, paid once, and compared leaf by leaf over the UK API', async () => {
  const clientToken = await world.clientToken(world.acorn, 'payments')
  const { id: ConsentId } = await initiation()
  const read = await world.acorn.send('GET', `${pisp}/domestic-payment-consents/${ConsentId}`, { token: clientToken })
  assert.equal(read.status, 200)
  const { Initiation } = read.body.Data
  const token = await world.authorise(world.acorn, ConsentId, world.ada, [world.ada.accounts[0]?.id as `acc_${string}`])
  const pay = (change: object = {}) =>
    world.acorn.send('POST', `${pisp}/domestic-payments`, {
      token,
      body: { Data: { ConsentId, Initiation: { ...Initiation, ...change } }, Risk: read.body.Risk },
      headers: { 'x-idempotency-key': randomUUID() },
    })
  assert.equal((await pay({ InstructedAmount: { Amount: '165.89', Currency: 'GBP' } })).status, 400)
  const paid = await pay()
  assert.equal(paid.status, 201, paid.text)
  assert.ok(paid.body.Data.Refund.Account.Identification, 'the customer was told that it would be')
  assert.equal((await pay()).status, 400)
})

/** What a token opens that was issued for a part of the consent: the test says what its detail names. */
async function reading(narrowed: object) {
  const consent = await information()
  const accounts = world.ada.accounts.map(({ id }) => id)
  await world.authorise(world.acorn, consent.id, world.ada, accounts)
  const grantId = String(await world.owner.oneFirst(sql.unsafe`select grant_id from consents.consent where consent_id = ${consent.id}`))
  const detail = { type: 'account_information', consent_id: consent.id, ...narrowed }
  const claims = { authorization_details: [detail] }
  const token = await world.tokenFor(world.acorn, { scope: 'openid accounts', grantId, consentId: consent.id, claims })
  const get = async (path: string) => world.acorn.send('GET', `${aisp}${path}`, { token })
  const [first, second] = accounts
  const listed = (await get('/accounts')).body.Data?.Account?.map(({ AccountId }: { AccountId: string }) => AccountId)
  return {
    listed,
    balances: (await get(`/accounts/${second}/balances`)).status,
    otherBalances: (await get(`/accounts/${first}/balances`)).status,
    transactions: (await get(`/accounts/${second}/transactions`)).status,
  }
}

test('RAR-04 a token for a part of its consent opens that part: fewer permissions, fewer accounts', async () => {
  const [first, second] = world.ada.accounts.map(({ id }) => id)
  const whole = await reading({ permissions: asked.permissions })
  assert.equal(whole.listed.length, 3)
  assert.deepEqual([whole.balances, whole.otherBalances, whole.transactions], [200, 200, 200])
  const less = await reading({ permissions: ['ReadAccountsBasic', 'ReadBalances'], accounts: [{ account_id: second }] })
  assert.deepEqual([less.listed, less.balances, less.otherBalances, less.transactions], [[second], 200, 403, 403])
  const none = await reading({ permissions: [], accounts: [] })
  assert.deepEqual([none.listed, none.balances, none.otherBalances], [undefined, 403, 403])
  assert.ok(first)
})

test('RAR-04 CON-02 a token that names more than its consent opens no more than the consent', async () => {
  const [bens] = world.ben.accounts.map(({ id }) => id)
  const { listed, transactions } = await reading({ permissions: [...asked.permissions, 'ReadPAN'], accounts: [{ account_id: bens }] })
  assert.deepEqual([listed, transactions], [[], 403])
})

test('RAR-04 a claim of another shape narrows nothing and breaks nothing', async () => {
  for (const odd of [{ permissions: 'all' }, { accounts: [null] }, { permissions: null, accounts: 7 }])
    assert.ok([0, 3].includes((await reading(odd)).listed.length))
})

test('RW-D-06 every answer here fits the official definition', { skip: definitionsMissing }, () => assertAllOfficial(world.answers))
