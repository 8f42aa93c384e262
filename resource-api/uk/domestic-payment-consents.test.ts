import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { sql } from '@bankside/service-kit/postgres'
import { assertAllOfficial, definitionsMissing } from '../testing/official-definitions.ts'
import { changed, paymentConsentBody } from '../testing/payment-bodies.ts'
import type { Answer, TestClient } from '../testing/test-client.ts'
import { startTestWorld, type TestWorld } from '../testing/test-world.ts'

const path = '/open-banking/v4.0/pisp/domestic-payment-consents'
let world: TestWorld
let token: string

before(async () => {
  world = await startTestWorld()
  token = await world.clientToken(world.acorn, 'payments')
})
after(() => world.close())

type Headers = Record<string, string | readonly string[] | undefined>
const post = (body: unknown, headers: Headers = {}) =>
  world.acorn.send('POST', path, { token, body, headers: { 'x-idempotency-key': randomUUID(), ...headers } })
const errors = ({ status, body }: Answer) => [
  status,
  ...(body?.Errors ?? []).map((error: Record<string, string>) => `${error['ErrorCode']} ${error['Path']}`),
]
const good = paymentConsentBody
const initiation = 'Data.Initiation'

/** One leaf changed, and the one thing that is wrong with it then. */
const invalid: [id: string, path: string, value: unknown, ...errors: string[]][] = [
  ...['InstructionIdentification', 'EndToEndIdentification', 'InstructedAmount', 'CreditorAccount'].map(
    (name): [string, string, unknown, string] => ['PIS-02 missing', `${initiation}.${name}`, undefined, `U004 ${initiation}.${name}`],
  ),
  ['PIS-02 missing', initiation, undefined, `U004 ${initiation}`],
  ['PIS-02 missing', 'Risk', undefined, 'U004 Risk'],
  ['PIS-02 missing', `${initiation}.CreditorAccount.Name`, undefined, `U004 ${initiation}.CreditorAccount.Name`],
  ['PIS-02 too long', `${initiation}.InstructionIdentification`, 'x'.repeat(36), `U002 ${initiation}.InstructionIdentification`],
  ['PIS-02 too long', `${initiation}.CreditorAccount.Name`, 'x'.repeat(351), `U002 ${initiation}.CreditorAccount.Name`],
  ['PIS-02 empty', `${initiation}.EndToEndIdentification`, '', `U002 ${initiation}.EndToEndIdentification`],
  ['PIS-02 blank', `${initiation}.EndToEndIdentification`, '  ', `U002 ${initiation}.EndToEndIdentification`],
  ['RW-D-05 null', `${initiation}.LocalInstrument`, null, `U002 ${initiation}.LocalInstrument`],
  ...['165.885', '-1', '165,88', '1e3', '', '.5', '5.', ' 1', '12345678901234', '1.123456', '0', '0.00', '٣', 'NaN', 'Infinity'].map(
    (value): [string, string, unknown, string] => [
      'RW-D-07 amount',
      `${initiation}.InstructedAmount.Amount`,
      value,
      `U002 ${initiation}.InstructedAmount.Amount`,
    ],
  ),
  ['RW-D-07 amount as number', `${initiation}.InstructedAmount.Amount`, 165.88, `U002 ${initiation}.InstructedAmount.Amount`],
  [
    'RW-D-07 yen have no fraction, and are not paid here',
    `${initiation}.InstructedAmount`,
    { Amount: '10', Currency: 'JPY' },
    `U023 ${initiation}.InstructedAmount.Currency`,
  ],
  ['PIS-05 currency', `${initiation}.InstructedAmount.Currency`, 'XYZ', `U023 ${initiation}.InstructedAmount.Currency`],
  [
    'PIS-05 currency named after what every object has',
    `${initiation}.InstructedAmount`,
    { Amount: '1', Currency: 'toString' },
    `U023 ${initiation}.InstructedAmount.Currency`,
  ],
  ['PIS-06 over the limit', `${initiation}.InstructedAmount.Amount`, '25000.01', `U002 ${initiation}.InstructedAmount.Amount`],
  [
    'PIS-04 13 digits',
    `${initiation}.CreditorAccount.Identification`,
    '0808002132569',
    `U002 ${initiation}.CreditorAccount.Identification`,
  ],
  [
    'PIS-04 not digits',
    `${initiation}.CreditorAccount.Identification`,
    '0808002132569x',
    `U002 ${initiation}.CreditorAccount.Identification`,
  ],
  [
    'PIS-04 IBAN that fails mod 97',
    `${initiation}.CreditorAccount`,
    { SchemeName: 'UK.OBIE.IBAN', Identification: 'GB29NWBK60161331926818', Name: 'A' },
    `U002 ${initiation}.CreditorAccount.Identification`,
  ],
  ['RW-D-15 PIS-05 scheme', `${initiation}.CreditorAccount.SchemeName`, 'X.Y', `U027 ${initiation}.CreditorAccount.SchemeName`],
  [
    'RW-D-15 PIS-05 scheme of the debtor',
    `${initiation}.DebtorAccount`,
    { SchemeName: 'UK.OBIE.PAN', Identification: '4444' },
    `U027 ${initiation}.DebtorAccount.SchemeName`,
  ],
  ['PIS-05 instrument', `${initiation}.LocalInstrument`, 'UK.OBIE.CHAPS', `U026 ${initiation}.LocalInstrument`],
  [
    'RW-D-01 emoji',
    `${initiation}.RemittanceInformation.Unstructured`,
    ['thank you 🎉'],
    `U002 ${initiation}.RemittanceInformation.Unstructured[0]`,
  ],
  ['RW-D-01 another script', `${initiation}.CreditorAccount.Name`, 'Сбер', `U002 ${initiation}.CreditorAccount.Name`],
  ['RW-D-01 right-to-left override', `${initiation}.CreditorAccount.Name`, 'ACME\u202e', `U002 ${initiation}.CreditorAccount.Name`],
  ['RW-D-01 NUL', `${initiation}.CreditorAccount.Name`, 'AC\u0000ME', `U002 ${initiation}.CreditorAccount.Name`],
  ['RW-D-01 half of a surrogate pair', `${initiation}.CreditorAccount.Name`, 'AC\ud800ME', `U002 ${initiation}.CreditorAccount.Name`],
  ['RW-D-06 unexpected', `${initiation}.Foo`, 1, `U005 ${initiation}.Foo`],
  ['RW-D-06 unexpected', 'Foo', 1, 'U005 Foo'],
  ['RW-D-06 unexpected', `${initiation}.constructor`, {}, `U005 ${initiation}.constructor`],
  ['PIS-03 the misspelt name of v3.1', 'Risk.ContractPresentInidicator', true, 'U005 Risk.ContractPresentInidicator'],
  [
    'RW-URI-07 SupplementaryData that nobody defined',
    `${initiation}.SupplementaryData`,
    { a: 1 },
    `U005 ${initiation}.SupplementaryData.a`,
  ],
  ['PIS-24 enumeration', 'Risk.PaymentContextCode', 'Party', 'U002 Risk.PaymentContextCode'],
  ['PIS-24 boolean as text', 'Risk.ContractPresentIndicator', 'true', 'U002 Risk.ContractPresentIndicator'],
  ['PIS-09 enumeration', 'Data.Authorisation', { AuthorisationType: 'Many' }, 'U002 Data.Authorisation.AuthorisationType'],
  [
    'RW-D-02 date',
    'Data.Authorisation',
    { AuthorisationType: 'Any', CompletionDateTime: '2024-02-30T00:00:00Z' },
    'U003 Data.Authorisation.CompletionDateTime',
  ],
]
for (const [id, at, value, ...expected] of invalid)
  test(`${id}: ${at} = ${JSON.stringify(value)?.slice(0, 60)} is 400`, async () => {
    assert.deepEqual(errors(await post(changed(good(), at, value))), [400, ...expected])
  })

test('RW-ERR-01 all that is wrong is told at once, and nothing that was sent is repeated (RW-ERR-05)', async () => {
  const markup = '<script>alert(1)</script>'
  let body: object = changed(good(), `${initiation}.InstructedAmount.Amount`, markup)
  body = changed(body, `${initiation}.CreditorAccount.SchemeName`, markup)
  body = changed(body, `${initiation}.EndToEndIdentification`, markup.repeat(5))
  const answer = await post(body)
  assert.deepEqual(errors(answer).toSorted(), [
    400,
    `U002 ${initiation}.EndToEndIdentification`,
    `U002 ${initiation}.InstructedAmount.Amount`,
    `U027 ${initiation}.CreditorAccount.SchemeName`,
  ])
  assert.doesNotMatch(answer.text, /script/)
})

test('RW-H-08 RW-H-14 the idempotency key: absent U007; empty, too long, not visible or twice U006', async () => {
  assert.deepEqual(errors(await post(good(), { 'x-idempotency-key': undefined })), [400, 'U007 x-idempotency-key'])
  for (const key of ['', '   ', 'x'.repeat(41), 'ü'])
    assert.deepEqual(errors(await post(good(), { 'x-idempotency-key': key })), [400, 'U006 x-idempotency-key'], key)
  assert.deepEqual(errors(await post(good(), { 'x-idempotency-key': ['a', 'b'] })), [400, 'U006 x-idempotency-key'])
  assert.equal((await post(good(), { 'x-idempotency-key': 'x'.repeat(40) })).status, 201)
})

test('PIS-02 PIS-11 PIS-24 a consent is lodged with all that the standard allows, echoed as it was sent, and found', async () => {
  const address = {
    AddressType: 'BIZZ',
    StreetName: 'High Street',
    BuildingNumber: '1',
    PostCode: 'AB1 2CD',
    TownName: 'Town',
    Country: 'GB',
    AddressLine: ['Floor 2'],
  }
  const party = { Name: 'Ann', Identification: '1', LEI: '529900T8BM49AURSDO55', SchemeName: 'X', PostalAddress: address }
  let body: object = changed(good(), 'Data.ReadRefundAccount', 'Yes')
  body = changed(body, 'Data.Authorisation', { AuthorisationType: 'Single', CompletionDateTime: '2031-01-01T00:00:00+00:00' })
  body = changed(body, 'Data.SCASupportData', {
    RequestedSCAExemptionType: 'PartyToParty',
    AppliedAuthenticationApproach: 'SCA',
    ReferencePaymentOrderId: 'O-1',
  })
  body = changed(body, `${initiation}.LocalInstrument`, 'UK.OBIE.FPS')
  body = changed(body, `${initiation}.DebtorAccount`, {
    SchemeName: 'UK.OBIE.IBAN',
    Identification: 'GB29NWBK60161331926819',
    Name: 'Ænne Müller',
    Proxy: { Identification: '+44', Code: 'TELE' },
  })
  body = changed(body, `${initiation}.CreditorAgent`, {
    SchemeName: 'UK.OBIE.BICFI',
    Identification: 'ACMEGB22',
    Name: 'Bank',
    LEI: '529900T8BM49AURSDO55',
    PostalAddress: address,
  })
  body = changed(body, `${initiation}.CreditorPostalAddress`, address)
  body = changed(body, `${initiation}.UltimateCreditor`, party)
  body = changed(body, `${initiation}.UltimateDebtor`, party)
  body = changed(body, `${initiation}.SupplementaryData`, {})
  body = changed(body, `${initiation}.RegulatoryReporting`, [
    {
      DebitCreditReportingIndicator: 'CRED',
      Authority: { Name: 'A', CountryCode: 'GB' },
      Details: [
        { Type: 'T', Date: '2025-01-01T00:00:00Z', Country: 'GB', Amount: { Amount: '1.00', Currency: 'GBP' }, Information: ['i'] },
      ],
    },
  ])
  body = changed(body, 'Risk.DeliveryAddress', address)
  body = changed(body, 'Risk.PaymentPurposeCode', 'EPAY')
  const lodged = await post(body)
  assert.equal(lodged.status, 201, lodged.text)
  const { Data, Risk } = body as { Data: Record<string, unknown>; Risk: unknown }
  for (const [name, value] of Object.entries(Data)) assert.deepEqual(lodged.body.Data[name], value, name)
  assert.deepEqual(lodged.body.Risk, Risk)
  assert.equal(lodged.body.Data.Status, 'AWAU')
  const found = await world.acorn.send('GET', `${path}/${lodged.body.Data.ConsentId}`, { token })
  assert.equal(found.status, 200)
  assert.deepEqual(found.body, lodged.body)
  assert.equal(found.body.Links.Self, `https://rs.bankside.test${path}/${lodged.body.Data.ConsentId}`)
})

test('PIS-24 an empty Risk is enough; PIS-04 an IBAN may be written with spaces', async () => {
  const account = { SchemeName: 'UK.OBIE.IBAN', Identification: 'GB29 NWBK 6016 1331 9268 19', Name: 'A' }
  assert.equal((await post(changed(changed(good(), 'Risk', {}), `${initiation}.CreditorAccount`, account))).status, 201)
})

test('RW-ID-02 RW-ID-03 the same key finds the same consent, in the state it is in now; member order does not matter', async () => {
  const headers = { 'x-idempotency-key': randomUUID() }
  const body = good()
  const first = await post(body, headers)
  await world.authorise(world.acorn, first.body.Data.ConsentId, world.ada, [world.ada.accounts[0]?.id as `acc_${string}`])
  const again = await post({ Risk: body.Risk, Data: body.Data }, headers)
  assert.deepEqual([first.status, again.status], [201, 201])
  assert.equal(again.body.Data.ConsentId, first.body.Data.ConsentId)
  assert.equal(again.body.Data.Status, 'AUTH')
})

test('D7 RW-ID-04 the same key with another body is 400 U006 and changes nothing', async () => {
  const headers = { 'x-idempotency-key': randomUUID() }
  const first = await post(good(), headers)
  assert.deepEqual(errors(await post(good({ amount: '165.89' }), headers)), [400, 'U006 x-idempotency-key'])
  const found = await world.acorn.send('GET', `${path}/${first.body.Data.ConsentId}`, { token })
  assert.equal(found.body.Data.Initiation.InstructedAmount.Amount, '165.88')
})

test('RW-ID-05 a refused attempt does not burn the key', async () => {
  const headers = { 'x-idempotency-key': randomUUID() }
  assert.equal((await post(good({ amount: 'x' }), headers)).status, 400)
  assert.equal((await post(good(), headers)).status, 201)
})

test('RW-ID-07 another client with the same key is another request', async () => {
  const headers = { 'x-idempotency-key': randomUUID() }
  const mine = await post(good(), headers)
  const theirs = await world.cobalt.send('POST', path, {
    token: await world.clientToken(world.cobalt, 'payments'),
    body: good({ amount: '1.00' }),
    headers,
  })
  assert.deepEqual([mine.status, theirs.status], [201, 201])
  assert.notEqual(mine.body.Data.ConsentId, theirs.body.Data.ConsentId)
})

test('RW-ID-06 fifty at once with one key make exactly one consent; who is not answered with it is told to wait (RW-ST-08)', async () => {
  const headers = { 'x-idempotency-key': randomUUID() }
  const answers = await Promise.all(Array.from({ length: 50 }, () => post(good({ amount: '50.50' }), headers)))
  const made = new Set(answers.filter(({ status }) => status === 201).map(({ body }) => body.Data.ConsentId))
  assert.equal(made.size, 1)
  for (const answer of answers.filter(({ status }) => status !== 201)) {
    assert.deepEqual(errors(answer), [409, 'U029 x-idempotency-key'])
    assert.equal(answer.headers['retry-after'], '1')
  }
  const stored = await world.owner.oneFirst(
    sql.unsafe`select count(*) from consents.consent where request #>> '{Data,Initiation,InstructedAmount,Amount}' = '50.50'`,
  )
  assert.equal(stored, 1n)
})

test('CON-03 D4 the consent of another client is 403, an unknown one 400 U011', async () => {
  const { ConsentId } = (await post(good())).body.Data
  const other = await world.clientToken(world.cobalt, 'payments')
  assert.deepEqual(errors(await world.cobalt.send('GET', `${path}/${ConsentId}`, { token: other })), [403, 'U011 ConsentId'])
  assert.deepEqual(errors(await world.acorn.send('GET', `${path}/con_${'0'.repeat(32)}`, { token })), [400, 'U011 ConsentId'])
})

test('PIS-01 a token for accounts is 403', async () => {
  const accounts = await world.clientToken(world.acorn, 'accounts')
  const headers = { 'x-idempotency-key': randomUUID() }
  assert.equal((await world.acorn.send('POST', path, { token: accounts, body: good(), headers })).status, 403)
})

test('PIS-18 RW-URI-04 payment consents are not deleted: 405 with Allow', async () => {
  const answer = await world.acorn.send('DELETE', `${path}/con_1`, { token })
  assert.deepEqual([answer.status, answer.headers['allow'], answer.text], [405, 'GET', ''])
})

async function funds(client: TestClient, amount: string, person = world.ada) {
  const clientToken = await world.clientToken(client, 'payments')
  const lodged = await client.send('POST', path, {
    token: clientToken,
    body: good({ amount }),
    headers: { 'x-idempotency-key': randomUUID() },
  })
  const consentId: string = lodged.body.Data.ConsentId
  const consented = await world.authorise(client, consentId, person, [person.accounts[0]?.id as `acc_${string}`])
  return { consentId, consented, url: `${path}/${consentId}/funds-confirmation` }
}

test('PIS-12 funds are confirmed or not, and nothing is set aside by asking', async () => {
  for (const [amount, expected] of [
    ['1000.00', true],
    ['1000.01', false],
    ['1000.00', true],
  ] as const) {
    const { consented, url } = await funds(world.cobalt, amount)
    const answer = await world.cobalt.send('GET', url, { token: consented })
    assert.equal(answer.status, 200, answer.text)
    assert.equal(answer.body.Data.FundsAvailableResult.FundsAvailable, expected)
  }
})

test("D5 PIS-01 PIS-14 funds: the client's own token is 401, a token of another consent 403", async () => {
  const one = await funds(world.acorn, '1.00')
  const other = await funds(world.acorn, '2.00')
  const own = await world.acorn.send('GET', one.url, { token })
  assert.deepEqual([own.status, own.text], [401, ''])
  assert.deepEqual(errors(await world.acorn.send('GET', one.url, { token: other.consented })), [403, 'U011 ConsentId'])
})

test('PIS-12 funds of a consent that is consumed or rejected: 400 U009', async () => {
  for (const status of ['COND', 'RJCT']) {
    const { consented, url, consentId } = await funds(world.acorn, '1.00')
    await world.owner.query(sql.unsafe`update consents.consent set status = ${status} where consent_id = ${consentId}`)
    assert.deepEqual(errors(await world.acorn.send('GET', url, { token: consented })), [400, 'U009 Data.ConsentId'])
  }
})

test('RW-D-05 no answer holds null or an empty text', () => {
  for (const { answer } of world.answers) assert.doesNotMatch(answer.text, /:null|:""|\[null/)
})

test('every answer of this file is one that the official definition allows', (t) => {
  if (definitionsMissing !== undefined) return t.skip(definitionsMissing)
  // The definition of the consent lacks 409, which RW-ST-08 asks for.
  assertAllOfficial(world.answers.filter(({ answer }) => answer.status !== 409))
})
