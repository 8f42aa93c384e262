import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { endLimit, setLimit } from '@bankside/bank/limits/set-limit'
import { sql, transact, z } from '@bankside/service-kit/postgres'
import { untilWaitingForLocks } from '@bankside/service-kit/test-lock-waits'
import { assertAllOfficial, definitionsMissing } from '../testing/official-definitions.ts'
import { changed, paymentConsentBody } from '../testing/payment-bodies.ts'
import type { Answer, TestClient } from '../testing/test-client.ts'
import { type Person, startTestWorld, type TestWorld } from '../testing/test-world.ts'

const path = '/open-banking/v4.0/pisp/domestic-payments'
const consents = '/open-banking/v4.0/pisp/domestic-payment-consents'
let world: TestWorld

before(async () => {
  world = await startTestWorld()
})
after(() => world.close())

type Order = {
  client?: TestClient
  person?: Person
  amount?: string
  currency?: string
  identification?: string
  account?: number
  readRefundAccount?: string
}

/** A payment that its customer has authorised: what to send, and the token to send it with. */
async function authorised({ client = world.acorn, person = world.ada, account = 0, readRefundAccount, ...body }: Order = {}) {
  const clientToken = await world.clientToken(client, 'payments')
  const request = changed(paymentConsentBody({ amount: '1.00', ...body }), 'Data.ReadRefundAccount', readRefundAccount)
  const lodged = await client.send('POST', consents, { token: clientToken, body: request, headers: key() })
  assert.equal(lodged.status, 201, lodged.text)
  const consentId: string = lodged.body.Data.ConsentId
  const token = await world.authorise(client, consentId, person, [person.accounts[account]?.id as `acc_${string}`])
  const payment = { Data: { ConsentId: consentId, Initiation: request.Data.Initiation }, Risk: request.Risk }
  const submit = (over: unknown = payment, headers = key()) => client.send('POST', path, { token, body: over, headers })
  return { client, clientToken, consentId, token, payment, submit }
}

const key = (value: string = randomUUID()) => ({ 'x-idempotency-key': value })
const errors = ({ status, body }: Answer) => [
  status,
  ...(body?.Errors ?? []).map((error: Record<string, string>) => `${error['ErrorCode']} ${error['Path']}`),
]
const funds = z.object({ posted_minor: z.bigint(), held_minor: z.bigint() })
const balance = async (person: Person, index = 0) => {
  const row = await world.owner.one(
    sql.type(funds)`select posted_minor, held_minor from ledger.account where account_id = ${person.accounts[index]?.id ?? ''}`,
  )
  return [row.posted_minor, row.held_minor] as const
}
const sortCodeAccount = ({ accounts }: Person, index = 0) => `${accounts[index]?.sortCode}${accounts[index]?.accountNumber}`

test("D5 PIS-01 the client's own token pays nothing: 401 without a body", async () => {
  const { clientToken, payment, client } = await authorised()
  const answer = await client.send('POST', path, { token: clientToken, body: payment, headers: key() })
  assert.deepEqual([answer.status, answer.text], [401, ''])
})

test('PIS-14 a token of one consent does not pay another: 403', async () => {
  const [one, other] = [await authorised(), await authorised()]
  assert.deepEqual(errors(await one.submit(other.payment)), [403, 'U011 ConsentId'])
})

test('DPOP-03 nothing is paid before the proof is used up, and nothing with one that was', async () => {
  const { client, token, payment, consentId } = await authorised()
  const proof = await client.prove('POST', path, token)
  const submit = () => client.send('POST', path, { token, proof, body: payment, headers: key() })
  const paid = () => world.owner.exists(sql.unsafe`select from payments.payment where consent_id = ${consentId}`)
  const answers = await transact(world.owner, async (tx) => {
    await tx.query(sql.unsafe`lock table oidc.used_proof in exclusive mode`)
    const both = [submit(), submit()]
    await untilWaitingForLocks(world.owner, 1)
    assert.equal(await paid(), false)
    return { both }
  })
  const statuses = (await Promise.all(answers.both)).map(({ status }) => status).sort()
  assert.deepEqual(statuses, [201, 401])
  assert.equal(await paid(), true)
  assert.equal((await submit()).status, 401)
})

test('CON-03 D4 another client neither pays nor reads', async () => {
  const { submit, payment, token } = await authorised()
  const theirs = await authorised({ client: world.cobalt })
  assert.deepEqual(errors(await theirs.submit(payment)), [403, 'U011 ConsentId'])
  assert.equal((await world.cobalt.send('POST', path, { token, body: payment, headers: key() })).status, 401)
  const made = await submit()
  const read = await world.cobalt.send('GET', `${path}/${made.body.Data.DomesticPaymentId}`, { token: theirs.clientToken })
  assert.deepEqual(errors(read), [403, 'U011 DomesticPaymentId'])
})

const leaves: [path: string, value: unknown][] = [
  ['Data.Initiation.InstructedAmount.Amount', '1.01'],
  ['Data.Initiation.InstructedAmount.Amount', '1.0'],
  ['Data.Initiation.InstructedAmount.Currency', 'EUR'],
  ['Data.Initiation.CreditorAccount.Identification', '08080021325699'],
  ['Data.Initiation.CreditorAccount.Name', 'ACME Ltd'],
  ['Data.Initiation.EndToEndIdentification', 'OTHER'],
  ['Data.Initiation.InstructionIdentification', 'OTHER'],
  ['Data.Initiation.RemittanceInformation.Unstructured', ['Internal ops code 5120102']],
  ['Data.Initiation.RemittanceInformation', undefined],
  ['Data.Initiation.LocalInstrument', 'UK.OBIE.FPS'],
  ['Data.Initiation.SupplementaryData', {}],
  ['Risk', {}],
  ['Risk.MerchantCategoryCode', '5968'],
  ['Risk.ContractPresentIndicator', true],
]
test('PIS-13 any leaf changed, added or removed is 400 U008, and the consent stays usable', async () => {
  const { submit, payment } = await authorised()
  for (const [leaf, value] of leaves)
    assert.deepEqual(errors(await submit(changed(payment, leaf, value))), [400, 'U008 Data.Initiation'], leaf)
  assert.equal((await submit()).status, 201)
})

test('PIS-02 RW-ERR-01 a body that is not a payment is 400 with every fault', async () => {
  const { submit, payment } = await authorised()
  assert.deepEqual(errors(await submit({})), [400, 'U004 Data', 'U004 Risk'])
  assert.deepEqual(errors(await submit(changed(payment, 'Data.ConsentId', undefined))), [400, 'U004 Data.ConsentId'])
  assert.deepEqual(errors(await submit(changed(payment, 'Data.ConsentId', 7))), [400, 'U002 Data.ConsentId'])
  const twice = changed(changed(payment, 'Data.Initiation.CreditorAccount', undefined), 'Data.Extra', 1)
  assert.deepEqual(errors(await submit(twice)), [400, 'U004 Data.Initiation.CreditorAccount', 'U005 Data.Extra'])
})

test('RW-H-08 RW-ID-05 the idempotency key is required: U007', async () => {
  const { payment, token, client } = await authorised()
  assert.deepEqual(errors(await client.send('POST', path, { token, body: payment })), [400, 'U007 x-idempotency-key'])
})

for (const name of ['acorn', 'cobalt'] as const)
  test(`PIS-16 PIS-11 NAT-A8 a payment within the bank that waits for its checks: accepted, held, then credited (${name})`, async () => {
    await world.straightThrough(false)
    const { submit, clientToken, client, consentId } = await authorised({
      client: world[name],
      amount: '12.34',
      identification: sortCodeAccount(world.ben),
    })
    const [before, bens] = [await balance(world.ada), await balance(world.ben)]
    const made = await submit()
    assert.equal(made.status, 201, made.text)
    const { DomesticPaymentId, Status, ConsentId, Initiation } = made.body.Data
    assert.match(DomesticPaymentId, /^pay_[0-9a-f]{32}$/)
    assert.deepEqual([Status, ConsentId, Initiation.InstructedAmount.Amount], ['RCVD', consentId, '12.34'])
    assert.equal(made.body.Links.Self, `https://rs.bankside.test${path}/${DomesticPaymentId}`)
    assert.deepEqual(await balance(world.ada), [before[0], 1_234n + before[1]])

    const consent = await client.send('GET', `${consents}/${consentId}`, { token: clientToken })
    assert.equal(consent.body.Data.Status, 'COND')
    await world.finishPayments()
    const found = await client.send('GET', `${path}/${DomesticPaymentId}`, { token: clientToken })
    assert.deepEqual([found.status, found.body.Data.Status], [200, 'ACCC'])
    assert.deepEqual(await balance(world.ben), [bens[0] + 1_234n, bens[1]])
    await world.straightThrough(true)
  })

test('PIS-16 PIS-11 NAT-A8 a payment for which nothing waits is answered when it is credited: ACTC at first, ACCC when it is read', async () => {
  const { submit, clientToken, client, consentId } = await authorised({ amount: '12.34', identification: sortCodeAccount(world.ben) })
  const [before, bens] = [await balance(world.ada), await balance(world.ben)]
  const made = await submit()
  const { DomesticPaymentId, Status, CreationDateTime, StatusUpdateDateTime } = made.body.Data
  assert.deepEqual([made.status, Status, StatusUpdateDateTime], [201, 'ACTC', CreationDateTime], made.text)
  assert.deepEqual(
    [await balance(world.ada), await balance(world.ben)],
    [
      [before[0] - 1_234n, before[1]],
      [bens[0] + 1_234n, bens[1]],
    ],
  )
  assert.equal((await client.send('GET', `${consents}/${consentId}`, { token: clientToken })).body.Data.Status, 'COND')
  const found = await client.send('GET', `${path}/${DomesticPaymentId}`, { token: clientToken })
  assert.deepEqual(found.body.Data, { ...made.body.Data, Status: 'ACCC' })
})

test('PIS-16 a payment to another bank is settled on our side: ACSC', async () => {
  const { submit, clientToken, client } = await authorised()
  const { DomesticPaymentId } = (await submit()).body.Data
  await world.finishPayments()
  assert.equal((await client.send('GET', `${path}/${DomesticPaymentId}`, { token: clientToken })).body.Data.Status, 'ACSC')
})

test('PIS-16 a payment without funds is recorded as rejected with its reason, and no money moves', async () => {
  const { submit, clientToken, client } = await authorised({ person: world.ben, amount: '9999.00' })
  const before = await balance(world.ben)
  const made = await submit()
  assert.deepEqual([made.status, made.body.Data.Status, made.body.Data.StatusReason[0].StatusReasonCode], [201, 'RJCT', 'AM04'])
  assert.deepEqual(await balance(world.ben), before)
  const found = await client.send('GET', `${path}/${made.body.Data.DomesticPaymentId}`, { token: clientToken })
  assert.equal(found.body.Data.Status, 'RJCT')
})

test('PIS-16 a payment that a person looks at is PDNG, one that they let go on ACSP, and never goes back', async () => {
  await world.straightThrough(false)
  const { submit, clientToken } = await authorised()
  const id: string = (await submit()).body.Data.DomesticPaymentId
  const seen = async () => (await world.acorn.send('GET', `${path}/${id}`, { token: clientToken })).body.Data.Status
  const states = [await seen()]
  for (const step of ['review', 'cleared']) {
    await world.owner.query(sql.unsafe`update payments.payment set step = ${step} where payment_id = ${id}`)
    states.push(await seen())
  }
  await world.finishPayments()
  assert.deepEqual([...states, await seen()], ['RCVD', 'PDNG', 'ACSP', 'ACSC'])
  await world.straightThrough(true)
})

test('PIS-16 a payment over a limit is recorded as rejected: AM02 at once, AM14 in a time, and no money moves', async () => {
  const before = await balance(world.ben)
  const { customerId } = world.ben
  for (const [period, reason] of [
    ['payment', 'AM02'],
    ['day', 'AM14'],
  ] as const) {
    const limit = { scope: 'customer', subjectId: customerId, channel: 'uk_v4', period, soft: false, setBy: 'customer' } as const
    const setting = { ...limit, most: { minor: 99n, currency: 'GBP' }, actor: customerId, now: new Date() } as const
    const limitId = await transact(world.owner, (tx) => setLimit(tx, setting))
    const { submit } = await authorised({ person: world.ben })
    const { status, body } = await submit()
    assert.deepEqual([status, body.Data.Status, body.Data.StatusReason[0].StatusReasonCode], [201, 'RJCT', reason])
    assert.doesNotMatch(JSON.stringify(body.Data.StatusReason), /0\.99|customer/)
    assert.deepEqual(await balance(world.ben), before)
    await transact(world.owner, (tx) => endLimit(tx, { limitId, setBy: 'customer', actor: customerId, now: new Date() }))
  }
})

test('PIS-06 PIS-07 an account that this bank does not have is not told of until its payment is made: then RJCT, AC01', async () => {
  const settled = () =>
    world.owner.oneFirst(sql.unsafe`select posted_minor from ledger.account where kind = 'settlement' and currency = 'GBP'`)
  const missing = await authorised({ identification: '04040499999999' })
  const [before, fundsBefore] = [await settled(), await balance(world.ada)]
  const [made, other] = [await missing.submit(), await (await authorised()).submit()]
  await world.finishPayments()
  const { Status, StatusReason } = made.body.Data
  assert.deepEqual([made.status, Status, StatusReason[0].StatusReasonCode], [201, 'RJCT', 'AC01'])
  assert.equal(other.body.Data.Status, 'ACTC')
  // Only what was paid to the other bank has moved.
  assert.equal(await settled(), (before as bigint) + 100n)
  assert.equal((await balance(world.ada))[0], fundsBefore[0] - 100n)
  const found = await missing.client.send('GET', `${path}/${made.body.Data.DomesticPaymentId}`, { token: missing.clientToken })
  assert.equal(found.body.Data.Status, 'RJCT')
})

test('PIS-06 PIS-07 the answers to lodging do not tell who banks here, nor in what currency', async () => {
  const token = await world.clientToken(world.acorn, 'payments')
  const shapes = []
  for (const identification of ['20000012345678', '04040499999999', sortCodeAccount(world.ben), sortCodeAccount(world.ada, 2)]) {
    const lodged = await world.acorn.send('POST', consents, { token, body: paymentConsentBody({ identification }), headers: key() })
    const { ConsentId, CreationDateTime, StatusUpdateDateTime, ...Data } = lodged.body.Data
    assert.ok(ConsentId && CreationDateTime && StatusUpdateDateTime)
    shapes.push(JSON.stringify([lodged.status, Data, lodged.body.Risk]).replaceAll(identification, 'number'))
  }
  assert.equal(new Set(shapes).size, 1)
})

test('PIS-08 without ReadRefundAccount, or with No, nothing is told of who paid', async () => {
  for (const readRefundAccount of [undefined, 'No']) {
    const { submit, clientToken, client } = await authorised({ ...(readRefundAccount && { readRefundAccount }) })
    const made = await submit()
    const found = await client.send('GET', `${path}/${made.body.Data.DomesticPaymentId}`, { token: clientToken })
    for (const answer of [made, found]) {
      assert.equal('Refund' in answer.body.Data, false)
      assert.doesNotMatch(answer.text, new RegExp([world.ada.name, ...world.ada.accounts.map((one) => one.accountNumber)].join('|')))
    }
  }
})

test('PIS-08 with ReadRefundAccount Yes the payment says which account to refund, each time it is read, and no more', async () => {
  const { submit, payment, clientToken, client } = await authorised({ readRefundAccount: 'Yes' })
  const headers = key()
  const made = await submit(payment, headers)
  await world.finishPayments()
  const { DomesticPaymentId } = made.body.Data
  const [again, found] = [await submit(payment, headers), await client.send('GET', `${path}/${DomesticPaymentId}`, { token: clientToken })]
  const Account = { SchemeName: 'UK.OBIE.SortCodeAccountNumber', Identification: sortCodeAccount(world.ada), Name: world.ada.name }
  const [mine, ...others] = world.ada.accounts
  for (const answer of [made, again, found]) {
    assert.deepEqual(answer.body.Data.Refund, { Account }, answer.text)
    assert.doesNotMatch(
      answer.text,
      new RegExp([mine?.id, mine?.iban, world.ada.customerId, ...others.map((one) => one.accountNumber)].join('|')),
    )
  }
  const theirs = await world.clientToken(world.cobalt, 'payments')
  const foreign = await world.cobalt.send('GET', `${path}/${DomesticPaymentId}`, { token: theirs })
  assert.deepEqual(errors(foreign), [403, 'U011 DomesticPaymentId'])
  assert.doesNotMatch(foreign.text, /Refund|Byron/)
})

test('PIS-08 an account that has no sort code is named by its IBAN', async () => {
  const { submit } = await authorised({ readRefundAccount: 'Yes', account: 2, currency: 'EUR' })
  const [, , euro] = world.ada.accounts
  await world.owner.query(
    sql.unsafe`update ledger.account set sort_code = null, account_number = null where account_id = ${euro?.id ?? ''}`,
  )
  const { Refund } = (await submit()).body.Data
  assert.deepEqual(Refund, { Account: { SchemeName: 'UK.OBIE.IBAN', Identification: euro?.iban, Name: world.ada.name } })
})

test('RW-ID-02 RW-ID-03 the same key finds the same payment in the state it is in now', async () => {
  await world.straightThrough(false)
  const { submit, payment } = await authorised()
  const headers = key()
  const first = await submit(payment, headers)
  await world.finishPayments()
  const again = await submit({ Risk: payment.Risk, Data: payment.Data }, headers)
  assert.deepEqual([again.status, again.body.Data.DomesticPaymentId], [201, first.body.Data.DomesticPaymentId])
  assert.deepEqual([first.body.Data.Status, again.body.Data.Status], ['RCVD', 'ACSC'])
  await world.straightThrough(true)
})

test('D7 RW-ID-04 the same key with another amount is 400 U006, and is put on record', async () => {
  const { submit, payment } = await authorised()
  const headers = key()
  assert.equal((await submit(payment, headers)).status, 201)
  assert.deepEqual(errors(await submit(changed(payment, 'Data.Initiation.InstructedAmount.Amount', '1.01'), headers)), [
    400,
    'U006 x-idempotency-key',
  ])
  const recorded = await world.owner.oneFirst(sql.unsafe`
    select count(*) from audit.record where action = 'idempotency_key.reused' and actor = 'acorn-money' and details ->> 'operation' = 'payment.submit'`)
  assert.equal(recorded, 1n)
})

test('D7 RW-ID-04 a key that was used is told of before what is wrong with the body, and a body before its consent', async () => {
  const { submit, payment } = await authorised()
  const headers = key()
  assert.equal((await submit(payment, headers)).status, 201)
  assert.deepEqual(errors(await submit(changed(payment, 'Data.Extra', 1), headers)), [400, 'U006 x-idempotency-key'])
  assert.deepEqual(errors(await submit(changed(payment, 'Data.Extra', 1))), [400, 'U005 Data.Extra'])
  assert.deepEqual(errors(await submit(changed(payment, 'Data.Initiation.Extra', 1))), [400, 'U005 Data.Initiation.Extra'])
  assert.deepEqual(errors(await submit(payment)), [400, 'U009 Data.ConsentId'])
})

test('RW-ID-09 PIS-15 a second payment on the consent is 400 U009', async () => {
  const { submit } = await authorised()
  assert.equal((await submit()).status, 201)
  assert.deepEqual(errors(await submit()), [400, 'U009 Data.ConsentId'])
})

test('PIS-15 two at once with different keys: exactly one is made', async () => {
  const { submit } = await authorised()
  const answers = await Promise.all(Array.from({ length: 8 }, () => submit()))
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [201, 400, 400, 400, 400, 400, 400, 400])
  for (const answer of answers.filter(({ status }) => status === 400)) assert.deepEqual(errors(answer), [400, 'U009 Data.ConsentId'])
})

test('RW-ID-06 fifty at once with one key: one payment, one entry', async () => {
  const { submit, payment, consentId } = await authorised({ amount: '3.21' })
  const headers = key()
  const answers = await Promise.all(Array.from({ length: 50 }, () => submit(payment, headers)))
  const made = new Set(answers.filter(({ status }) => status === 201).map(({ body }) => body.Data.DomesticPaymentId))
  assert.equal(made.size, 1)
  for (const answer of answers.filter(({ status }) => status !== 201)) assert.deepEqual(errors(answer), [409, 'U029 x-idempotency-key'])
  assert.equal(await world.owner.oneFirst(sql.unsafe`select count(*) from payments.payment where consent_id = ${consentId}`), 1n)
  assert.equal(await world.owner.oneFirst(sql.unsafe`select count(*) from ledger.posting where amount_minor = 321`), 1n)
})

test('RW-ID-07 two clients with one key make two payments', async () => {
  const [mine, theirs] = [await authorised(), await authorised({ client: world.cobalt })]
  const headers = key()
  const answers = [await mine.submit(mine.payment, headers), await theirs.submit(theirs.payment, headers)]
  assert.deepEqual(
    answers.map(({ status }) => status),
    [201, 201],
  )
  assert.notEqual(answers[0]?.body.Data.DomesticPaymentId, answers[1]?.body.Data.DomesticPaymentId)
})

test('PIS-15 a consent that the customer refused pays nothing', async () => {
  const { submit, consentId } = await authorised()
  await world.owner.query(sql.unsafe`update consents.consent set status = 'RJCT' where consent_id = ${consentId}`)
  assert.deepEqual(errors(await submit()), [400, 'U009 Data.ConsentId'])
})

test('FAPI2-RS-03 a grant that ended pays nothing: 401', async () => {
  const { submit, consentId } = await authorised()
  await world.owner.query(
    sql.unsafe`update oidc.grant set revoked_at = now() where grant_id = (select grant_id from consents.consent where consent_id = ${consentId})`,
  )
  const answer = await submit()
  assert.deepEqual([answer.status, answer.text], [401, ''])
})

test('RW-ST-02 D4 a payment that nobody knows is 400 U011', async () => {
  const { clientToken, client } = await authorised()
  for (const id of [`pay_${'0'.repeat(32)}`, 'pay_1', 'x'])
    assert.deepEqual(errors(await client.send('GET', `${path}/${id}`, { token: clientToken })), [400, 'U011 DomesticPaymentId'])
})

test('PIS-17 RW-URI-04 what is specified and not implemented is 404 without a body', async () => {
  const { clientToken, client } = await authorised()
  for (const url of [
    `${path}/pay_1/payment-details`,
    '/open-banking/v4.0/pisp/domestic-scheduled-payments',
    '/open-banking/v4.0/pisp/file-payment-consents',
  ]) {
    const answer = await client.send('GET', url, { token: clientToken })
    assert.deepEqual([answer.status, answer.text], [404, ''])
  }
})

test('a payment leaves an event and an audit record with the interaction id of its request', async () => {
  const { payment, token, client } = await authorised()
  const interactionId = randomUUID()
  const made = await client.send('POST', path, { token, body: payment, headers: { ...key(), 'x-fapi-interaction-id': interactionId } })
  assert.equal(made.headers['x-fapi-interaction-id'], interactionId)
  const { DomesticPaymentId } = made.body.Data
  assert.equal(
    await world.owner.oneFirst(sql.unsafe`select interaction_id from audit.record where subject = ${DomesticPaymentId} limit 1`),
    interactionId,
  )
  assert.ok(await world.owner.oneFirst(sql.unsafe`select count(*) from events.event where subject = ${DomesticPaymentId}`))
})

test('RW-D-05 no answer holds null or an empty text, and no log line what was paid to whom', () => {
  for (const { answer } of world.answers) assert.doesNotMatch(answer.text, /:null|:""|\[null/)
  assert.doesNotMatch(world.lines.join(''), /ACME Inc|08080021325698|eyJ/)
})

test('every answer of this file is one that the official definition allows', (t) => {
  if (definitionsMissing !== undefined) return t.skip(definitionsMissing)
  const undeclared = ({ path: at, answer }: (typeof world.answers)[number]) => answer.status === 404 && /scheduled|file-payment/.test(at)
  assertAllOfficial(world.answers.filter((answered) => !undeclared(answered)))
})
