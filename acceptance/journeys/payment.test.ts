import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type AgreedPayment, agreePayment, availableMinor, read, shareAccounts, somePayment } from '../rig/consented.ts'
import { hasSterling, openRig, type Rig, sterlingOf } from '../rig/rig.ts'
import type { Answer } from '../third-party/answer.ts'
import { getPayment, getPaymentConsent, lodgePayment, newKey, paymentBody, pisp, submitPayment } from '../third-party/uk-open-banking.ts'

let rig: Rig
before(async () => {
  rig = await openRig()
})
after(() => rig?.close())

const settledWithinMs = 30_000
const codeOf = (answer: Answer) => [answer.status, answer.at('Errors.0.ErrorCode')]
const pay = ({ thirdParty, tokens, consentId, body }: AgreedPayment, key?: string) =>
  submitPayment(thirdParty, tokens.access_token, consentId, body, key)
const funds = ({ thirdParty, tokens, consentId }: AgreedPayment) =>
  thirdParty.call(tokens.access_token, 'GET', pisp(thirdParty, `/domestic-payment-consents/${consentId}/funds-confirmation`))

async function settled({ thirdParty }: AgreedPayment, paymentId: string): Promise<string> {
  for (const deadline = performance.now() + settledWithinMs; ; await sleep(100)) {
    const status = (await getPayment(thirdParty, paymentId)).textAt('Data.Status')
    if (['ACSC', 'ACCC', 'RJCT'].includes(status) || performance.now() > deadline) return status
  }
}

test('PIS-01 PIS-12 PIS-16 CX-PIS-01 CX-PIS-04 CX-PIS-08 a payment from consent to both statements', async () => {
  const [payer, payee] = [rig.someone(hasSterling), rig.someone(hasSterling)]
  const [from, to] = [sterlingOf(payer).id, sterlingOf(payee).id]
  const [payersReader, payeesReader] = [await shareAccounts(rig, { person: payer }), await shareAccounts(rig, { person: payee })]
  const before = [await availableMinor(payersReader, from), await availableMinor(payeesReader, to)]
  const agreed = await agreePayment(rig, { person: payer, body: somePayment(rig, { from: payer, to: payee, amount: '16.88' }) })
  for (const kind of ['second_factor', 'confirm_payment']) {
    const screen = agreed.screens.find((each) => each.kind === kind)
    assert.match(screen?.text ?? '', /£16\.88/)
    assert.match(screen?.text ?? '', /Riverside Rentals/)
  }
  assert.equal((await funds(agreed)).at('Data.FundsAvailableResult.FundsAvailable'), true)
  const submitted = await pay(agreed)
  assert.equal(submitted.status, 201, submitted.text)
  assert.ok(['RCVD', 'PDNG', 'ACTC', 'ACSP'].includes(submitted.textAt('Data.Status')))
  assert.match(await settled(agreed, submitted.textAt('Data.DomesticPaymentId')), /ACSC|ACCC/)
  assert.deepEqual(
    [await availableMinor(payersReader, from), await availableMinor(payeesReader, to)],
    [(before[0] ?? 0n) - 1688n, (before[1] ?? 0n) + 1688n],
  )
  for (const [reader, account, direction] of [
    [payersReader, from, 'Debit'],
    [payeesReader, to, 'Credit'],
  ] as const) {
    const statement = (await read(reader, `/accounts/${account}/transactions`)).listAt('Data.Transaction')
    const lines = statement.filter((each) => each.at('Amount.Amount') === '16.88' && each.at('CreditDebitIndicator') === direction)
    assert.equal(lines.length, 1)
  }
  assert.equal((await getPaymentConsent(agreed.thirdParty, agreed.consentId)).at('Data.Status'), 'COND')
})

test('RW-ID-02 RW-ID-03 RW-ID-04 RW-ID-09 the same key finds the payment; a changed amount and a second payment are refused', async () => {
  const agreed = await agreePayment(rig)
  const key = newKey()
  const first = await pay(agreed, key)
  assert.equal(first.status, 201, first.text)
  const id = first.textAt('Data.DomesticPaymentId')
  const final = await settled(agreed, id)
  const again = await pay(agreed, key)
  assert.deepEqual([again.status, again.at('Data.DomesticPaymentId'), again.at('Data.Status')], [201, id, final])
  const other = somePayment(rig, { from: agreed.person, amount: '11.00' })
  assert.deepEqual(codeOf(await pay({ ...agreed, body: other }, key)), [400, 'U006'])
  assert.deepEqual(codeOf(await pay(agreed)), [400, 'U009'])
})

test('RW-ID-06 fifty requests under one key at once make one payment', async () => {
  const agreed = await agreePayment(rig)
  const key = newKey()
  const answers = await Promise.all(Array.from({ length: 50 }, () => pay(agreed, key)))
  const ids = new Set(answers.filter(({ status }) => status === 201).map((answer) => answer.textAt('Data.DomesticPaymentId')))
  assert.equal(ids.size, 1)
  assert.ok(
    answers.every(({ status }) => status === 201 || status === 409),
    answers.map(({ status }) => status).join(),
  )
  const [row] = await rig.ask<{ count: string }>('select count(*) from payments.payment where consent_id = $1', [agreed.consentId])
  assert.equal(Number(row?.count), 1)
})

test('PIS-15 eight payments on one consent with eight keys at once: exactly one is made', async () => {
  const agreed = await agreePayment(rig)
  const answers = await Promise.all(Array.from({ length: 8 }, () => pay(agreed)))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 400, 400, 400, 400, 400, 400, 400])
})

test('RW-ID-07 two third parties may use the same key: two consents', async () => {
  const key = newKey()
  const body = somePayment(rig, { from: rig.someone(hasSterling) })
  const one = await lodgePayment(await rig.thirdParty('tpp-tls-dpop'), body, key)
  const other = await lodgePayment(await rig.thirdParty('tpp-pkjwt-mtls'), body, key)
  assert.deepEqual([one.status, other.status], [201, 201])
  assert.notEqual(one.textAt('Data.ConsentId'), other.textAt('Data.ConsentId'))
})

test('PIS-13 a payment that differs in any leaf from its consent is refused with U008', async () => {
  const agreed = await agreePayment(rig)
  const initiation = agreed.body.Data.Initiation
  const changes = [
    { InstructedAmount: { Amount: '10.01', Currency: 'GBP' } },
    { InstructedAmount: { Amount: '10.0', Currency: 'GBP' } },
    { CreditorAccount: { ...(initiation['CreditorAccount'] as object), Name: 'Somebody Else' } },
    { RemittanceInformation: { Unstructured: ['Rent'] } },
    { EndToEndIdentification: 'another' },
    { LocalInstrument: 'UK.OBIE.FPS' },
  ]
  for (const change of changes) {
    const body = { ...agreed.body, Data: { Initiation: { ...initiation, ...change } } }
    assert.deepEqual(codeOf(await pay({ ...agreed, body })), [400, 'U008'], JSON.stringify(change))
  }
  assert.deepEqual(codeOf(await pay({ ...agreed, body: { ...agreed.body, Risk: {} } })), [400, 'U008'])
  assert.equal((await pay(agreed)).status, 201, 'what was agreed is still good')
})

test('PIS-14 the token of one consent pays no other', async () => {
  const [one, other] = [await agreePayment(rig), await agreePayment(rig)]
  const crossed = await submitPayment(one.thirdParty, one.tokens.access_token, other.consentId, other.body)
  assert.equal(crossed.status, 403, crossed.text)
})

test('PIS-07 the account that the third party named is the only one to pay from', async () => {
  const person = rig.someone(hasSterling)
  const account = sterlingOf(person)
  const payee = rig.someone(hasSterling)
  const body = paymentBody({
    amount: '3.00',
    currency: 'GBP',
    creditor: { name: 'Riverside Rentals', account: sterlingOf(payee) },
    debtor: account,
    remittance: 'x',
  })
  const agreed = await agreePayment(rig, { person, body })
  assert.equal((await pay(agreed)).status, 201)
  const [row] = await rig.ask('select debtor_account_id from payments.payment where consent_id = $1', [agreed.consentId])
  assert.equal(row?.['debtor_account_id'], account.id)
})

test('PIS-07 an account of somebody else: the customer goes back, the consent is rejected, nothing is revealed before sign-in', async () => {
  const [person, owner] = [rig.someone(hasSterling), rig.someone(hasSterling)]
  const payee = rig.someone(hasSterling)
  const body = paymentBody({
    amount: '3.00',
    currency: 'GBP',
    creditor: { name: 'Riverside Rentals', account: sterlingOf(payee) },
    debtor: sterlingOf(owner),
    remittance: 'x',
  })
  const thirdParty = await rig.thirdParty('tpp-tls-dpop')
  const consentId = (await lodgePayment(thirdParty, body)).textAt('Data.ConsentId')
  const started = await thirdParty.start({ scope: 'openid payments', intent: { consentId, namedBy: 'claims' } })
  const { screens, callback } = await rig.customer(person).authorise(started.url)
  assert.equal(screens[0]?.kind, 'sign_in')
  if (callback) assert.equal(callback.searchParams.get('error'), 'access_denied')
  assert.equal((await getPaymentConsent(thirdParty, consentId)).at('Data.Status'), 'RJCT')
})

test('CX-PIS-03 a payment without funds is agreed to, made, and rejected with AM04; no balance moves', async () => {
  const person = rig.someone(hasSterling)
  const body = somePayment(rig, { from: person, amount: '24999.00' })
  const agreed = await agreePayment(rig, { person, body })
  assert.equal((await funds(agreed)).at('Data.FundsAvailableResult.FundsAvailable'), false)
  const rejected = await pay(agreed)
  assert.deepEqual([rejected.status, rejected.at('Data.Status')], [201, 'RJCT'], rejected.text)
  assert.match(rejected.text, /AM04/)
})

test('PIS-12 PIS-15 before the customer has agreed there is no token, and a token of the client’s own confirms and pays nothing (D5)', async () => {
  const thirdParty = await rig.thirdParty('tpp-tls-dpop')
  const body = somePayment(rig, { from: rig.someone(hasSterling) })
  const consentId = (await lodgePayment(thirdParty, body)).textAt('Data.ConsentId')
  const { access_token } = await thirdParty.clientCredentials('payments')
  assert.equal((await submitPayment(thirdParty, access_token, consentId, body)).status, 401)
  assert.equal(
    (await thirdParty.call(access_token, 'GET', pisp(thirdParty, `/domestic-payment-consents/${consentId}/funds-confirmation`))).status,
    401,
  )
})

test('FAPI2-AS-14 a token for accounts pays nothing, and a token for a payment reads no accounts', async () => {
  const agreed = await agreePayment(rig, { clientId: 'tpp-pkjwt-dpop' })
  const shared = await shareAccounts(rig, { clientId: 'tpp-pkjwt-dpop' })
  assert.ok([401, 403].includes((await submitPayment(agreed.thirdParty, shared.tokens.access_token, agreed.consentId, agreed.body)).status))
  assert.ok([401, 403].includes((await read(agreed, '/accounts')).status))
})

test('PIS-18 a payment consent cannot be deleted: 405 with Allow', async () => {
  const agreed = await agreePayment(rig)
  const { access_token } = await agreed.thirdParty.clientCredentials('payments')
  const answer = await agreed.thirdParty.call(
    access_token,
    'DELETE',
    pisp(agreed.thirdParty, `/domestic-payment-consents/${agreed.consentId}`),
  )
  assert.equal(answer.status, 405)
  assert.ok(answer.headers.get('allow'))
})

test('CX-07 a cancelled payment: access_denied, consent RJCT, no payment', async () => {
  const thirdParty = await rig.thirdParty('tpp-tls-dpop')
  const consentId = (await lodgePayment(thirdParty, somePayment(rig, { from: rig.someone(hasSterling) }))).textAt('Data.ConsentId')
  const started = await thirdParty.start({ scope: 'openid payments', intent: { consentId, namedBy: 'both' } })
  const { callback } = await rig.customer(rig.someone(hasSterling)).authorise(started.url, { cancelAt: 'confirm_payment' })
  assert.equal(callback?.searchParams.get('error'), 'access_denied')
  assert.equal((await getPaymentConsent(thirdParty, consentId)).at('Data.Status'), 'RJCT')
})

test('CX-PIS-04 CX-PIS-05 SCA-03 a second factor that was answered for other words than the consent’s authorises nothing', async () => {
  const thirdParty = await rig.thirdParty('tpp-tls-dpop')
  const person = rig.someone(hasSterling)
  const consentId = (await lodgePayment(thirdParty, somePayment(rig, { from: person }))).textAt('Data.ConsentId')
  const started = await thirdParty.start({ scope: 'openid payments', intent: { consentId, namedBy: 'claims' } })
  const customer = rig.customer(person)
  const confirm = await customer.answer(await customer.answer(await customer.open(started.url)))
  assert.equal(confirm.kind, 'confirm_payment')
  const bound = await rig.ask(
    'update customers.sca_challenge set binding_hash = sha256(binding_hash) where consent_id = $1 returning challenge_id',
    [consentId],
  )
  assert.ok(bound.length >= 1, 'the code was asked for this consent')
  const done = await customer.answer(confirm, { choose: () => [sterlingOf(person).id] })
  assert.equal(done.callback?.searchParams.get('code') ?? null, null)
  assert.notEqual((await getPaymentConsent(thirdParty, consentId)).at('Data.Status'), 'AUTH')
})

test('CX-PIS-05 the challenge of a payment is spent once', async () => {
  const agreed = await agreePayment(rig)
  const rows = await rig.ask('select spent_at from customers.sca_challenge where consent_id = $1 and spent_at is not null', [
    agreed.consentId,
  ])
  assert.equal(rows.length, 1)
})
