import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, transact, violatedConstraint, z } from '@bankside/service-kit/postgres'
import { type AccountId, newConsentId } from '../ids.ts'
import { placeHold } from '../ledger/place-hold.ts'
import { reconcile } from '../ledger/reconcile.ts'
import { refusalOf } from '../refusal.ts'
import { advancePayments } from './advance-payments.ts'
import { confirmFunds } from './confirm-funds.ts'
import { getPayment } from './get-payment.ts'
import { checkPaymentLimits } from './payment-limits.ts'
import { paymentDeadlineMs } from './submission-call.ts'
import { gbp, later, noon, openTestBank, type TestBank, type TestConsent } from './testing/test-bank.ts'

let bank: TestBank
let ann: AccountId
let ben: AccountId

before(async () => {
  bank = await openTestBank()
  ann = await bank.newAccount({ funds: 1_000_000n })
  ben = await bank.newAccount()
})
after(() => bank.close())

const submit: TestBank['submit'] = (consent, change) => bank.submit(consent, change)
const advance = (now = noon) => advancePayments(bank.worker, { now, limit: 100 })
const payment = (paymentId: string, clientId = 'third-party') => transact(bank.resourceApi, (tx) => getPayment(tx, { paymentId, clientId }))
const balances = z.object({ posted_minor: z.bigint(), held_minor: z.bigint() })
const balance = (accountId: AccountId) =>
  bank.owner.one(sql.type(balances)`select posted_minor, held_minor from ledger.account where account_id = ${accountId}`)
const setStatus = (accountId: AccountId, status: string) =>
  bank.owner.query(sql.unsafe`update ledger.account set status = ${status} where account_id = ${accountId}`)
const refusedAs = (code: string) => (error: unknown) => {
  assert.equal(refusalOf(error)?.code, code, String(error))
  return true
}
/** What the tests below made by hand, against the rules. */
const staged = new Set<string>()
const discrepancies = async () => (await reconcile(bank.worker)).filter(({ subject }) => !staged.has(subject))
async function consentIn(status: 'AWAU' | 'RJCT' | 'COND', debtorAccountId: AccountId): Promise<TestConsent> {
  const consent = await bank.newConsent({ debtorAccountId, amount: gbp(1000), status })
  staged.add(consent.consentId)
  return consent
}
const consentStatus = (consentId: string) =>
  bank.owner.oneFirst(sql.unsafe`select status from consents.consent where consent_id = ${consentId}`)
const writtenAbout = (subject: string) =>
  bank.owner.one(sql.type(z.object({ events: z.array(z.string()), records: z.array(z.string()) }))`
    select array(select type from events.event where subject = ${subject} order by event_number) as events,
      array(select action from audit.record where subject = ${subject} order by occurred_at, action) as records`)

test('PIS-14 a token for one consent pays no other', async () => {
  const [one, other] = [
    await bank.newConsent({ debtorAccountId: ann, amount: gbp(1000) }),
    await bank.newConsent({ debtorAccountId: ann, amount: gbp(1000) }),
  ]
  await assert.rejects(submit(one, { consentId: other.consentId }), refusedAs('consent_not_yours'))
  await assert.rejects(submit(one, { consentId: newConsentId() }), refusedAs('consent_not_yours'))
})

test('PIS-15 a consent in any other state than AUTH pays nothing', async () => {
  for (const [status, code] of [
    ['AWAU', 'consent_not_authorised'],
    ['RJCT', 'consent_not_authorised'],
    ['COND', 'consent_already_used'],
  ] as const)
    await assert.rejects(submit(await consentIn(status, ann)), refusedAs(code))
})

test('PIS-13 any leaf changed, added or removed is a mismatch; the order of members is not', async () => {
  const consent = await bank.newConsent({ debtorAccountId: ann, creditorAccountId: ben, amount: gbp(1000) })
  const { Initiation, Risk } = consent.initiation
  const different = [
    { Initiation: { ...Initiation, InstructedAmount: { Amount: '10.0', Currency: 'GBP' } }, Risk },
    { Initiation: { ...Initiation, InstructedAmount: { Amount: '10.01', Currency: 'GBP' } }, Risk },
    { Initiation: { ...Initiation, LocalInstrument: 'UK.OBIE.FPS' }, Risk },
    { Initiation: { ...Initiation, EndToEndIdentification: undefined }, Risk },
    { Initiation, Risk: {} },
    { Initiation },
    { Initiation: [Initiation], Risk },
    null,
  ]
  for (const initiation of different) await assert.rejects(submit(consent, { initiation }), refusedAs('consent_mismatch'))
  assert.equal(await consentStatus(consent.consentId), 'AUTH', 'a refused request spends nothing')
  const reordered = { Risk, Initiation: Object.fromEntries(Object.entries(Initiation).reverse()) }
  assert.equal((await submit(consent, { initiation: reordered })).status, 'held')
})

test('PIS-16 a payment is accepted with its funds held, and writes consent, hold, event and audit together', async () => {
  const [from, to] = [await bank.newAccount({ funds: 5_000n }), await bank.newAccount()]
  const consent = await bank.newConsent({ debtorAccountId: from, creditorAccountId: to, amount: gbp(1000) })
  const submitted = await submit(consent)
  assert.equal(submitted.status, 'held')
  assert.equal(submitted.creditorIsOurs, true)
  assert.deepEqual(submitted.amount, gbp(1000))
  assert.deepEqual([submitted.instructionIdentification, submitted.endToEndIdentification], ['ACME412', 'FRESCO.21302.GFX.20'])
  assert.equal(await consentStatus(consent.consentId), 'COND')
  assert.deepEqual(await balance(from), { posted_minor: 5_000n, held_minor: 1_000n })
  assert.deepEqual(await writtenAbout(submitted.id), { events: ['payment.held'], records: ['payment.submitted'] })

  await advance()
  assert.equal((await payment(submitted.id)).status, 'posted')
  assert.deepEqual(await balance(from), { posted_minor: 4_000n, held_minor: 0n })
  assert.deepEqual(await balance(to), { posted_minor: 1_000n, held_minor: 0n })
  assert.deepEqual(await writtenAbout(submitted.id), {
    events: ['payment.held', 'payment.posted'],
    records: ['payment.posted', 'payment.submitted'],
  })
})

test('RW-ID-09 two payments of one consent at once: exactly one wins', async () => {
  const consent = await bank.newConsent({ debtorAccountId: ann, creditorAccountId: ben, amount: gbp(1000) })
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => submit(consent)))
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const outcome of outcomes) if (outcome.status === 'rejected') refusedAs('consent_already_used')(outcome.reason)
})

test('a payment to another bank goes through the settlement account, and the statement names the payee', async () => {
  const consent = await bank.newConsent({ debtorAccountId: ann, amount: gbp(1000) })
  const submitted = await submit(consent)
  assert.equal(submitted.creditorIsOurs, false)
  assert.equal(submitted.creditorAccountId, bank.own.settlement.GBP)
  await advance()
  const named = await bank.owner.oneFirst(sql.unsafe`
    select counterparty_name from ledger.posting where account_id = ${ann} order by posting_number desc limit 1`)
  assert.equal(named, 'ACME')
})

test('an account here is found by its number when the consent does not name it', async () => {
  const number = await bank.owner.oneFirst(sql.unsafe`select sort_code || account_number from ledger.account where account_id = ${ben}`)
  const creditor = { name: 'Ben', schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: String(number) }
  const submitted = await submit(await bank.newConsent({ debtorAccountId: ann, amount: gbp(1000), creditor }))
  assert.equal(submitted.creditorAccountId, ben)
})

for (const [title, prepare, reason] of [
  ['without funds', async () => ({ from: await bank.newAccount({ funds: 999n }), to: ben }), 'AM04'],
  ['from a frozen account', async () => ({ from: await accountThatIs('frozen'), to: ben }), 'AC06'],
  ['from a closed account', async () => ({ from: await accountThatIs('closed'), to: ben }), 'AC04'],
  ['to a closed account', async () => ({ from: ann, to: await accountThatIs('closed') }), 'AC07'],
  ['to an account in another currency', async () => ({ from: ann, to: await bank.newAccount({ currency: 'EUR' }) }), 'AC11'],
] as const)
  test(`a payment ${title} is recorded as rejected: ${reason}`, async () => {
    const { from, to } = await prepare()
    const consent = await bank.newConsent({ debtorAccountId: from, creditorAccountId: to, amount: gbp(1000) })
    const before = await balance(from)
    const submitted = await submit(consent)
    assert.deepEqual([submitted.status, submitted.rejectionReason], ['rejected', reason])
    assert.equal(await consentStatus(consent.consentId), 'COND')
    assert.deepEqual(await balance(from), before)
    assert.deepEqual(await writtenAbout(submitted.id), { events: ['payment.rejected'], records: ['payment.submitted'] })
  })

for (const [schemeName, identification] of [
  ['UK.OBIE.SortCodeAccountNumber', '04040499999999'],
  ['UK.OBIE.IBAN', 'gb92 BKSD 0404 0499 9999 99'],
] as const)
  test(`PIS-06 a payee said to bank here, without such an account, is not paid into the settlement account: AC01 (${schemeName})`, async () => {
    const creditor = { name: 'Nobody', schemeName, identification }
    const consent = await bank.newConsent({ debtorAccountId: ann, amount: gbp(1000), creditor })
    await advance()
    const before = [await balance(ann), await balance(bank.own.settlement.GBP as AccountId)]
    const submitted = await submit(consent)
    await advance()
    assert.deepEqual([submitted.status, submitted.rejectionReason, submitted.creditorIsOurs], ['rejected', 'AC01', false])
    assert.deepEqual([await balance(ann), await balance(bank.own.settlement.GBP as AccountId)], before)
  })

test('PIS-06 a payee with an IBAN of another country or bank is paid through the settlement account', async () => {
  for (const identification of ['GB82 WEST 1234 5698 7654 32', 'DE89370400440532013000']) {
    const creditor = { name: 'Elsewhere', schemeName: 'UK.OBIE.IBAN', identification }
    const submitted = await submit(await bank.newConsent({ debtorAccountId: ann, amount: gbp(100), creditor }))
    assert.deepEqual([submitted.status, submitted.creditorAccountId], ['held', bank.own.settlement.GBP])
  }
})

async function accountThatIs(status: string): Promise<AccountId> {
  const account = await bank.newAccount({ funds: 10_000n })
  await setStatus(account, status)
  return account
}

test('PIS-06 a payment moves something, and at most 25,000.00', () => {
  checkPaymentLimits(gbp(2_500_000))
  checkPaymentLimits({ minor: 25_000n, currency: 'JPY' })
  assert.throws(() => checkPaymentLimits(gbp(2_500_001), 'Amount'), { code: 'payment_over_limit', path: 'Amount' })
  assert.throws(() => checkPaymentLimits({ minor: 25_001n, currency: 'JPY' }), { code: 'payment_over_limit' })
  assert.throws(() => checkPaymentLimits(gbp(0)), { code: 'amount_invalid' })
})

test('PIS-12 funds are confirmed for an authorised consent only, and nothing is reserved by asking', async () => {
  const from = await bank.newAccount({ funds: 1_000n })
  const confirm = ({ access, consentId }: TestConsent) =>
    transact(bank.resourceApi, (tx) => confirmFunds(tx, { access, consentId, now: noon }))
  const consent = await bank.newConsent({ debtorAccountId: from, amount: gbp(1000) })
  for (const status of ['AWAU', 'RJCT', 'COND'] as const)
    await assert.rejects(confirm(await consentIn(status, from)), refusedAs('consent_not_authorised'))
  await assert.rejects(confirm({ ...consent, consentId: newConsentId() }), refusedAs('consent_not_yours'))
  assert.equal(await confirm(consent), true)
  assert.equal((await balance(from)).held_minor, 0n)
  await transact(bank.resourceApi, (tx) => placeHold(tx, { accountId: from, amount: gbp(1), expiresAt: later(1), now: noon }))
  assert.equal(await confirm(consent), false)
  await bank.owner.query(
    sql.unsafe`select ledger.release_hold(hold_id, 'released', ${sql.timestamp(noon)}) from ledger.hold where account_id = ${from}`,
  )
})

test('D4 NAT-S6 another client may not see a payment, and a customer who is no part of it finds none', async () => {
  const [from, to] = [await bank.newAccount({ funds: 5_000n }), await bank.newAccount()]
  const { id, customerId } = await submit(await bank.newConsent({ debtorAccountId: from, creditorAccountId: to, amount: gbp(1000) }))
  const seenBy = (viewer: AccountId) =>
    transact(bank.resourceApi, async (tx) =>
      getPayment(tx, {
        paymentId: id,
        customerId: (await tx.oneFirst(
          sql.unsafe`select customer_id from ledger.account where account_id = ${viewer}`,
        )) as typeof customerId,
      }),
    )
  await assert.rejects(payment(id, 'other-party'), refusedAs('consent_not_yours'))
  await assert.rejects(seenBy(ann), refusedAs('payment_not_found'))
  await assert.rejects(seenBy(to), refusedAs('payment_not_found'), 'before it is posted, the payee knows nothing')
  assert.equal((await seenBy(from)).id, id)
  await advance()
  assert.equal((await seenBy(to)).status, 'posted')
})

const transferRequest = {
  type: 'payment_initiation',
  instructedAmount: { amount: '10.00', currency: 'GBP' },
  remittanceInformation: 'Rent',
} as const
const transferConsent = (from: AccountId, to: AccountId) =>
  bank.newConsent({
    kind: 'transfer',
    debtorAccountId: from,
    creditorAccountId: to,
    amount: gbp(1000),
    request: { ...transferRequest, debtorAccount: { account_id: from }, creditorAccount: { account_id: to } },
  })

test('NAT-S4 a transfer is spent with exactly the values that were authorised', async () => {
  const consent = await transferConsent(ann, ben)
  const agreed = { debtorAccountId: ann, creditorAccountId: ben, amount: gbp(1000), reference: 'Rent' }
  const pay = (change: Partial<typeof agreed>) => submit(consent, { channel: 'bank_api', initiation: { ...agreed, ...change } })
  for (const change of [
    { amount: gbp(1001) },
    { amount: { minor: 1000n, currency: 'EUR' as const } },
    { debtorAccountId: ben },
    { creditorAccountId: ann },
    { reference: 'Rent and more' },
  ])
    await assert.rejects(pay(change), refusedAs('consent_mismatch'))
  const paid = await pay({})
  assert.deepEqual([paid.status, paid.channel], ['held', 'bank_api'])
  // Ids of one moment begin alike, and stand together in their indexes; what people read to each other does not.
  assert.equal(paid.id.slice(4, 16), noon.getTime().toString(16).padStart(12, '0'))
  assert.equal(paid.endToEndIdentification, `TRF-${paid.id.slice(-16).toUpperCase()}`)
  await assert.rejects(pay({}), refusedAs('consent_already_used'))
})

test('a payment consent does not pay through the other API', async () => {
  await assert.rejects(submit(await transferConsent(ann, ben)), refusedAs('consent_mismatch'))
})

test('NAT-A4 a payment leaves held once: what happens in between decides, and the funds are free again', async () => {
  const [from, to] = [await bank.newAccount({ funds: 5_000n }), await bank.newAccount()]
  const make = async () => submit(await bank.newConsent({ debtorAccountId: from, creditorAccountId: to, amount: gbp(1000) }))
  const expectRejected = async (id: string, reason: string) => {
    const { status, rejectionReason } = await payment(id)
    assert.deepEqual([status, rejectionReason], ['rejected', reason])
    assert.deepEqual(await balance(from), { posted_minor: 5_000n, held_minor: 0n })
    assert.deepEqual((await writtenAbout(id)).events, ['payment.held', 'payment.rejected'])
  }
  const late = await make()
  await advance(later(paymentDeadlineMs))
  await expectRejected(late.id, 'AB03')

  for (const [account, status, reason] of [
    [from, 'frozen', 'AC06'],
    [from, 'closed', 'AC04'],
    [to, 'closed', 'AC07'],
  ] as const) {
    const { id } = await make()
    await setStatus(account, status)
    await advance()
    await setStatus(account, 'open')
    await expectRejected(id, reason)
  }
})

test('a payment that cannot be finished by a fault of ours is reported, and others pass it', async () => {
  const [from, to] = [await bank.newAccount({ funds: 5_000n }), await bank.newAccount()]
  const make = async () => submit(await bank.newConsent({ debtorAccountId: from, creditorAccountId: to, amount: gbp(1000) }))
  const [broken, sound] = [await make(), await make()]
  const holdOfBroken = sql.fragment`(select hold_id from payments.payment where payment_id = ${broken.id})`
  await bank.owner.query(sql.unsafe`select ledger.release_hold(${holdOfBroken}, 'released', ${sql.timestamp(noon)})`)
  const reported: string[] = []
  await advancePayments(bank.worker, { now: noon, limit: 10, onFault: (_error, paymentIds) => reported.push(...paymentIds) })
  assert.deepEqual(reported, [broken.id])
  assert.equal((await payment(sound.id)).status, 'posted')
  assert.deepEqual(
    (await discrepancies()).map(({ name, subject }) => [name, subject]),
    [['held payment without its hold', broken.id]],
  )
  await bank.owner.query(sql.unsafe`
    update payments.payment set status = 'rejected', rejection_reason = 'AB03' where payment_id = ${broken.id}`)
  staged.add(broken.id)
})

test('several workers at once post each payment once', async () => {
  const [from, to] = [await bank.newAccount({ funds: 50_000n }), await bank.newAccount()]
  const consents = await Promise.all(
    Array.from({ length: 30 }, () => bank.newConsent({ debtorAccountId: from, creditorAccountId: to, amount: gbp(1000) })),
  )
  await Promise.all(consents.map((consent) => submit(consent)))
  const finished = await Promise.all(Array.from({ length: 5 }, () => advance()))
  assert.equal(
    finished.reduce((sum, count) => sum + count, 0),
    30,
  )
  assert.deepEqual(await balance(to), { posted_minor: 30_000n, held_minor: 0n })
})

test('a payment does not begin as posted, moves no further than its end, and has one consent', async () => {
  const refused = async (query: ReturnType<typeof sql.unsafe>, constraint: string) =>
    assert.rejects(bank.owner.query(query), (error) => violatedConstraint(error) === constraint)
  const { id } = await submit(await bank.newConsent({ debtorAccountId: ann, creditorAccountId: ben, amount: gbp(1) }))
  await advance()
  await refused(sql.unsafe`update payments.payment set status = 'rejected' where payment_id = ${id}`, 'payment_moves_forward')
  await refused(
    sql.unsafe`insert into payments.payment select * from payments.payment where payment_id = ${id}`,
    'payment_begins_held_or_rejected',
  )
})

test('at the end of all this the books agree', async () => {
  await advance()
  assert.deepEqual(await discrepancies(), [])
})
