import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { sql } from '@bankside/service-kit/postgres'
import { assertAllOfficial, definitionsMissing } from '../testing/official-definitions.ts'
import { paymentConsentBody } from '../testing/payment-bodies.ts'
import type { Answer } from '../testing/test-client.ts'
import { startTestWorld, type TestWorld } from '../testing/test-world.ts'

const path = '/open-banking/v4.0/aisp/account-access-consents'
let world: TestWorld
let token: string

before(async () => {
  world = await startTestWorld()
  token = await world.clientToken(world.acorn, 'accounts')
})
after(() => world.close())

const consent = (data: object = {}, rest: object = { Risk: {} }) => ({ Data: { Permissions: ['ReadAccountsBasic'], ...data }, ...rest })
const post = (body: unknown, headers: Record<string, string> = {}) => world.acorn.send('POST', path, { token, body, headers })
const errors = ({ status, body }: Answer) => [
  status,
  ...(body?.Errors ?? []).map((error: Record<string, string>) => `${error['ErrorCode']} ${error['Path']}`),
]

const invalid: [id: string, body: unknown, ...errors: string[]][] = [
  ['AIS-01 Risk missing', { Data: { Permissions: ['ReadAccountsBasic'] } }, 'U004 Risk'],
  ['AIS-01 Data missing', { Risk: {} }, 'U004 Data'],
  ['AIS-01 all missing', {}, 'U004 Data', 'U004 Risk'],
  ['AIS-01 a body that is an array', [], 'U002 .'],
  ['AIS-01 a body that is null', null, 'U002 .'],
  ['AIS-01 something in Risk', consent({}, { Risk: { PaymentContextCode: 'TransferToSelf' } }), 'U005 Risk.PaymentContextCode'],
  ['AIS-01 Permissions that are no array', consent({ Permissions: 'ReadAccountsBasic' }), 'U002 Data.Permissions'],
  ['AIS-01 a permission that is a number', consent({ Permissions: ['ReadAccountsBasic', 7] }), 'U002 Data.Permissions[1]'],
  ['AIS-02 no accounts', consent({ Permissions: ['ReadBalances'] }), 'U002 Data.Permissions'],
  ['AIS-03 no permission', consent({ Permissions: [] }), 'U002 Data.Permissions'],
  ['AIS-03 an unknown permission', consent({ Permissions: ['ReadAccountsBasic', 'ReadEverything'] }), 'U002 Data.Permissions'],
  [
    'AIS-03 transactions without direction',
    consent({ Permissions: ['ReadAccountsBasic', 'ReadTransactionsBasic'] }),
    'U002 Data.Permissions',
  ],
  [
    'AIS-03 a direction without transactions',
    consent({ Permissions: ['ReadAccountsBasic', 'ReadTransactionsCredits'] }),
    'U002 Data.Permissions',
  ],
  ['AIS-03 permissions named after what every object has', consent({ Permissions: ['toString', '__proto__'] }), 'U002 Data.Permissions'],
  ['CON-04 an expiry in the past', consent({ ExpirationDateTime: '2020-01-01T00:00:00Z' }), 'U003 Data.ExpirationDateTime'],
  ['RW-D-02 an expiry that is no date', consent({ ExpirationDateTime: '2024-13-01T00:00:00Z' }), 'U003 Data.ExpirationDateTime'],
  ['RW-D-02 a day that no calendar has', consent({ TransactionFromDateTime: '2023-02-29T00:00:00Z' }), 'U003 Data.TransactionFromDateTime'],
  ['RW-D-02 a date without time zone', consent({ TransactionFromDateTime: '2023-02-28T00:00:00' }), 'U003 Data.TransactionFromDateTime'],
  ['RW-D-02 a date that is a number', consent({ TransactionToDateTime: 1700000000 }), 'U002 Data.TransactionToDateTime'],
  [
    'AIS-05 from after to',
    consent({ TransactionFromDateTime: '2025-01-02T00:00:00Z', TransactionToDateTime: '2025-01-01T00:00:00Z' }),
    'U003 Data.TransactionFromDateTime',
  ],
  [
    'RW-ERR-01 three faults at once',
    consent({ Permissions: [], ExpirationDateTime: 'x', TransactionToDateTime: 'y' }),
    'U002 Data.Permissions',
    'U003 Data.ExpirationDateTime',
    'U003 Data.TransactionToDateTime',
  ],
]
for (const [id, body, ...expected] of invalid)
  test(`${id} is 400 (RW-ST-02)`, async () => {
    const answer = await post(body)
    assert.deepEqual(errors(answer), [400, ...expected])
    assert.equal(answer.body.Id, answer.headers['x-fapi-interaction-id'])
  })

test('AIS-01 RW-ST-01 RW-D-08 a consent is lodged, found, and its link leads to it', async () => {
  const body = consent({
    ExpirationDateTime: '2031-05-02T00:00:00+01:00',
    TransactionFromDateTime: '2025-05-03T00:00:00.123Z',
    TransactionToDateTime: '2025-12-03T00:00:00Z',
  })
  const lodged = await post(body)
  assert.equal(lodged.status, 201)
  const { ConsentId, Status, ...data } = lodged.body.Data
  assert.match(ConsentId, /^con_[0-9a-f]{32}$/)
  assert.equal(Status, 'AWAU')
  // CON-04, D15: as it was sent, to the letter.
  for (const [name, value] of Object.entries(body.Data)) assert.deepEqual(data[name], value, name)
  assert.equal(lodged.body.Links.Self, `https://rs.bankside.test${path}/${ConsentId}`)
  const found = await world.acorn.send('GET', `${path}/${ConsentId}`, { token })
  assert.equal(found.status, 200)
  assert.deepEqual(found.body, lodged.body)
})

test('D15 an expiry of null is taken for none, and every permission code is accepted, repeated or not', async () => {
  const lodged = await post(
    consent({
      ExpirationDateTime: null,
      Permissions: ['ReadAccountsBasic', 'ReadAccountsDetail', 'ReadAccountsBasic', 'ReadPAN', 'ReadOffers', 'ReadParty'],
    }),
  )
  assert.equal(lodged.status, 201)
  assert.equal('ExpirationDateTime' in lodged.body.Data, false)
  assert.equal(lodged.body.Data.Permissions.length, 6)
})

test('AIS-05 a period of one moment is a period', async () => {
  const moment = '2025-01-01T00:00:00Z'
  assert.equal((await post(consent({ TransactionFromDateTime: moment, TransactionToDateTime: moment }))).status, 201)
})

test('RW-ID-01 RW-H-08 an idempotency key is ignored here: two calls make two consents, a key that is too long does not matter', async () => {
  const key = { 'x-idempotency-key': randomUUID() }
  const [one, other] = [await post(consent(), key), await post(consent(), key)]
  assert.notEqual(one.body.Data.ConsentId, other.body.Data.ConsentId)
  assert.equal((await post(consent(), { 'x-idempotency-key': 'x'.repeat(100) })).status, 201)
})

test('CON-03 D4 the consent of another client is 403, an unknown one 400 U011', async () => {
  const { ConsentId } = (await post(consent())).body.Data
  const other = await world.clientToken(world.cobalt, 'accounts')
  for (const method of ['GET', 'DELETE']) {
    assert.deepEqual(errors(await world.cobalt.send(method, `${path}/${ConsentId}`, { token: other })), [403, 'U011 ConsentId'])
    for (const id of [`con_${'0'.repeat(32)}`, 'con_1', '%00', "'--"])
      assert.deepEqual(errors(await world.acorn.send(method, `${path}/${id}`, { token })), [400, 'U011 ConsentId'])
  }
  assert.equal((await world.acorn.send('GET', `${path}/${ConsentId}`, { token })).status, 200)
})

test('CON-08 RW-ST-01 DELETE is 204; then the consent is gone, and so is every token for it', async () => {
  const { ConsentId } = (await post(consent())).body.Data
  const customerToken = await world.authorise(world.acorn, ConsentId, world.ada, [world.ada.accounts[0]?.id as `acc_${string}`])
  assert.equal((await world.acorn.send('GET', '/open-banking/v4.0/aisp/accounts', { token: customerToken })).status, 200)

  const deleted = await world.acorn.send('DELETE', `${path}/${ConsentId}`, { token })
  assert.deepEqual([deleted.status, deleted.text], [204, ''])
  assert.deepEqual(errors(await world.acorn.send('GET', `${path}/${ConsentId}`, { token })), [400, 'U011 ConsentId'])
  assert.deepEqual(errors(await world.acorn.send('DELETE', `${path}/${ConsentId}`, { token })), [400, 'U011 ConsentId'])
  const after = await world.acorn.send('GET', '/open-banking/v4.0/aisp/accounts', { token: customerToken })
  assert.deepEqual([after.status, after.text], [401, ''])
})

test('RW-ST-05 RW-ST-12 D3 a consent that expired or that the customer took back: 401 with the reason in a body', async () => {
  const { ConsentId } = (await post(consent({ ExpirationDateTime: new Date(Date.now() + 3_600_000).toISOString() }))).body.Data
  const customerToken = await world.authorise(world.acorn, ConsentId, world.ada, [world.ada.accounts[0]?.id as `acc_${string}`])
  const call = () => world.acorn.send('GET', '/open-banking/v4.0/aisp/accounts', { token: customerToken })
  assert.equal((await call()).status, 200)
  await world.owner.query(sql.unsafe`alter table consents.consent disable trigger user`)
  await world.owner.query(sql.unsafe`update consents.consent set expires_at = now() - interval '1 second' where consent_id = ${ConsentId}`)
  await world.owner.query(sql.unsafe`alter table consents.consent enable trigger user`)
  const expired = await call()
  assert.deepEqual(errors(expired), [401, 'TKXP ConsentId'])
  assert.match(String(expired.headers['www-authenticate']), /error="invalid_token"/)
  await world.owner.query(sql.unsafe`update consents.consent set status = 'CANC' where consent_id = ${ConsentId}`)
  assert.equal((await call()).status, 401)
})

test('CON-09 a payment consent is not found here', async () => {
  const payments = await world.clientToken(world.acorn, 'payments')
  const headers = { 'x-idempotency-key': randomUUID() }
  const lodged = await world.acorn.send('POST', '/open-banking/v4.0/pisp/domestic-payment-consents', {
    token: payments,
    body: paymentConsentBody(),
    headers,
  })
  assert.deepEqual(errors(await world.acorn.send('GET', `${path}/${lodged.body.Data.ConsentId}`, { token })), [400, 'U011 ConsentId'])
})

test('FAPI2-RS-04 PIS-01 a token for payments lodges no account access, and a customer-bound one neither', async () => {
  const payments = await world.clientToken(world.acorn, 'payments')
  const refused = await world.acorn.send('POST', path, { token: payments, body: consent() })
  assert.deepEqual([refused.status, refused.body.Errors[0].ErrorCode], [403, 'U002'])
  assert.match(String(refused.headers['www-authenticate']), /error="insufficient_scope", scope="accounts"/)
  const { ConsentId } = (await post(consent())).body.Data
  const customerToken = await world.authorise(world.acorn, ConsentId, world.ada, [])
  assert.equal((await world.acorn.send('POST', path, { token: customerToken, body: consent() })).status, 403)
})

test('every answer of this file is one that the official definition allows', (t) => {
  if (definitionsMissing !== undefined) return t.skip(definitionsMissing)
  assertAllOfficial(world.answers)
})
