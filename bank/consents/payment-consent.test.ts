import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, transact, z } from '@bankside/service-kit/postgres'
import { addBeneficiary } from '../beneficiaries/add-beneficiary.ts'
import { startSecondFactor } from '../customers/start-second-factor.ts'
import { bindingHash } from './binding-hash.ts'
import { deleteConsent } from './delete-consent.ts'
import { expireConsents } from './expire-consents.ts'
import { getConsent } from './get-consent.ts'
import { listEligibleAccounts } from './list-eligible-accounts.ts'
import { lodgeTransferConsent } from './lodge-transfer-consent.ts'
import { revokeConsent } from './revoke-consent.ts'
import { acme, app, bareToken, dayMs, gbp, later, minuteMs, noon, openWorld, thirdParty, type World } from './testing/test-world.ts'

let world: World
before(async () => {
  world = await openWorld()
})
after(() => world.close())

const identificationOf = (accountId: string) =>
  world.owner.oneFirst(
    sql.type(
      z.object({ text: z.string() }),
    )`select sort_code || account_number as text from ledger.account where account_id = ${accountId}`,
  )
const sortCodeAccount = async (accountId: string) => ({
  schemeName: 'UK.OBIE.SortCodeAccountNumber',
  identification: await identificationOf(accountId),
})
const statusOf = async (consentId: string) =>
  (await world.asResourceApi((tx) => getConsent(tx, { consentId, clientId: thirdParty }))).status

/** A customer with one account and a grant: what stands before a payment is authorised. */
async function payer(funds = 100_000n) {
  const customer = await world.person()
  const accountId = await world.newAccount({ customerId: customer.customerId, funds })
  return { customer, customerId: customer.customerId, accountId, accountIds: [accountId], grantId: await world.grant(customer.customerId) }
}

test('PIS-06 nothing, too much, and currencies that are not sent are refused on lodging', async () => {
  const amountPath = 'Data.Initiation.InstructedAmount.Amount'
  await assert.rejects(world.lodgePayment({ amount: gbp(0) }), { code: 'amount_invalid', path: amountPath })
  await assert.rejects(world.lodgePayment({ amount: gbp(2_500_001) }), { code: 'payment_over_limit', path: amountPath })
  await assert.rejects(world.lodgePayment({ amount: { minor: 1n, currency: 'JPY' } }), { code: 'currency_unsupported' })
  await world.lodgePayment({ amount: gbp(2_500_000) })
})

test('PIS-04 PIS-05 an account that cannot be one is refused, and so is an unknown scheme', async () => {
  const path = 'Data.Initiation.CreditorAccount.Identification'
  await assert.rejects(world.lodgePayment({ creditor: { ...acme, identification: '2000001234567' } }), { code: 'field_invalid', path })
  await assert.rejects(
    world.lodgePayment({ creditor: { ...acme, schemeName: 'UK.OBIE.IBAN', identification: 'GB82WEST12345698765433' } }),
    { code: 'field_invalid', path },
  )
  await assert.rejects(world.lodgePayment({ creditor: { ...acme, schemeName: 'X.Y' } }), { code: 'scheme_unsupported' })
  await assert.rejects(world.lodgePayment({ creditor: { ...acme, schemeName: 'BANKSIDE.AccountId' } }), { code: 'scheme_unsupported' })
  const debtor = { schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: 'x' }
  await assert.rejects(world.lodgePayment({ debtor }), { code: 'field_invalid', path: 'Data.Initiation.DebtorAccount.Identification' })
  await world.lodgePayment({ creditor: { ...acme, schemeName: 'UK.OBIE.IBAN', identification: 'GB82 WEST 1234 5698 7654 32' } })
})

test('PIS-06 PIS-07 lodging tells nothing of who banks here: no account, a closed one, one in euros and one elsewhere are alike', async () => {
  const [euros, closed] = [await world.newAccount({ currency: 'EUR' }), await world.newAccount()]
  await world.owner.query(sql.unsafe`update ledger.account set status = 'closed' where account_id = ${closed}`)
  const missing = { schemeName: acme.schemeName, identification: '04040499999999' }
  for (const named of [missing, await sortCodeAccount(euros), await sortCodeAccount(closed), acme]) {
    const lodged = await world.lodgePayment({ creditor: { ...named, name: 'Ann' } })
    assert.deepEqual([lodged.status, lodged.creditorAccountId], ['AWAU', undefined])
  }
})

test('PIS-11 a lodged payment consent is what was sent, and knows an account of ours', async () => {
  const accountId = await world.newAccount()
  const creditor = { name: 'Ann Example', ...(await sortCodeAccount(accountId)) }
  const lodged = await world.lodgePayment({ creditor, request: { Data: { b: 1, a: '10.00' } }, reference: 'Rent' })
  const { clientId, ...consent } = await world.asResourceApi((tx) => getConsent(tx, { consentId: lodged.id, clientId: thirdParty }))
  assert.deepEqual({ clientId, ...consent }, lodged)
  assert.equal(lodged.creditorAccountId, accountId)
  assert.equal((await world.lodgePayment()).creditorAccountId, undefined)
})

test('CX-PIS-04 without an answered challenge, or with one for other terms, nothing is authorised', async () => {
  const { customer, customerId, ...order } = await payer()
  const [consent, other] = [await world.lodgePayment(), await world.lodgePayment({ amount: gbp(999) })]
  const refused = (challengeId: string | undefined, now = noon) =>
    assert.rejects(world.authorise(consent, { ...order, customerId, challengeId, now }), { code: 'insufficient_user_authentication' })

  await refused(undefined)
  await refused(`sca_${'0'.repeat(32)}`)
  await refused(await world.asAuthServer((tx) => startSecondFactor(tx, { customerId, consent, now: noon })))
  await refused(await world.answered(customer, other))
  const signedIn = await world.answered(customer, consent, later(minuteMs))
  await refused(signedIn, later(6 * minuteMs))
  const stranger = await payer()
  await refused(await world.answered(stranger.customer, consent))
  assert.equal(await statusOf(consent.id), 'AWAU')
})

test('CX-PIS-04 CX-PIS-05 an amount, payee or account changed in the row after the second factor is refused', async () => {
  for (const tampered of [
    sql.fragment`amount_minor = 100001`,
    sql.fragment`currency = 'EUR'`,
    sql.fragment`creditor_name = 'Mallory'`,
    sql.fragment`creditor_identification = '20000087654321'`,
  ]) {
    const customer = await world.person()
    const { customerId } = customer
    const accounts = { GBP: await world.newAccount({ customerId }), EUR: await world.newAccount({ customerId, currency: 'EUR' }) }
    const consent = await world.lodgePayment()
    const challengeId = await world.answered(customer, consent)
    await transact(world.owner, async (tx) => {
      await tx.query(sql.unsafe`alter table consents.consent disable trigger user`)
      await tx.query(sql.unsafe`update consents.consent set ${tampered} where consent_id = ${consent.id}`)
      await tx.query(sql.unsafe`alter table consents.consent enable trigger user`)
    })
    const { currency } = await world.owner.one(
      sql.type(z.object({ currency: z.enum(['GBP', 'EUR']) }))`select currency from consents.consent where consent_id = ${consent.id}`,
    )
    const order = { customerId, accountIds: [accounts[currency]], grantId: 'g', challengeId }
    await assert.rejects(world.authorise(consent, order), { code: 'insufficient_user_authentication' })
  }
})

test('CX-PIS-04 no two terms share a hash', async () => {
  const consent = await world.lodgePayment()
  const { creditor } = consent
  const variants = [
    consent,
    { ...consent, amount: gbp(1001) },
    { ...consent, amount: { ...consent.amount, currency: 'EUR' as const } },
    { ...consent, id: `con_${'0'.repeat(32)}` as const },
    { ...consent, creditor: { ...creditor, name: 'ACME', schemeName: `Inc${creditor.schemeName}` } },
    { ...consent, creditor: { ...creditor, name: `${creditor.name}"` } },
    { ...consent, creditor: { ...creditor, identification: '20000012345679' } },
  ]
  assert.equal(new Set(variants.map((variant) => bindingHash(variant).toString('hex'))).size, variants.length)
})

test('PIS-07 the account that the third party names must be the customer’s own: otherwise rejected with AC01, after signing in', async () => {
  const { customer, customerId, accountId, grantId } = await payer()
  const foreign = await world.newAccount()
  const consent = await world.lodgePayment({ debtor: await sortCodeAccount(foreign) })
  assert.deepEqual(await world.asAuthServer((tx) => listEligibleAccounts(tx, { consent, customerId })), [])
  const challengeId = await world.answered(customer, consent)
  const { outcome, consent: rejected } = await world.authorise(consent, { customerId, accountIds: [accountId], grantId, challengeId })
  assert.deepEqual([outcome, rejected.status, rejected.statusReason?.code], ['rejected', 'RJCT', 'AC01'])
  assert.equal(await statusOf(consent.id), 'RJCT')
})

test('PIS-07 the customer cannot choose another account than the one named', async () => {
  const { customer, customerId, accountId, grantId } = await payer()
  const second = await world.newAccount({ customerId })
  const consent = await world.lodgePayment({ debtor: await sortCodeAccount(accountId) })
  const offered = await world.asAuthServer((tx) => listEligibleAccounts(tx, { consent, customerId }))
  assert.deepEqual(
    offered.map(({ id }) => id),
    [accountId],
  )
  const challengeId = await world.answered(customer, consent)
  await assert.rejects(world.authorise(consent, { customerId, accountIds: [second], grantId, challengeId }), {
    code: 'account_not_permitted',
  })
  assert.equal((await world.authorise(consent, { customerId, accountIds: [accountId], grantId, challengeId })).outcome, 'authorised')
})

test('CX-PIS-02 CX-PIS-03 only accounts that can pay may be chosen, one of them, and too little money is only pointed out', async () => {
  const { customer, customerId, accountId, grantId } = await payer(500n)
  const euros = await world.newAccount({ customerId, currency: 'EUR' })
  const payee = await world.newAccount({ customerId })
  const consent = await world.lodgePayment({ creditor: { name: 'Ann', ...(await sortCodeAccount(payee)) } })
  const offered = await world.asAuthServer((tx) => listEligibleAccounts(tx, { consent, customerId }))
  assert.deepEqual(
    new Map(offered.map(({ id, ineligible, insufficient }) => [id, [ineligible, insufficient]])),
    new Map([
      [accountId, [undefined, true]],
      [euros, ['other_currency', true]],
      [payee, ['is_the_payee', true]],
    ]),
  )
  const challengeId = await world.answered(customer, consent)
  const order = { customerId, grantId, challengeId }
  await assert.rejects(world.authorise(consent, { ...order, accountIds: [euros] }), { code: 'account_not_usable' })
  await assert.rejects(world.authorise(consent, { ...order, accountIds: [payee] }), { code: 'account_not_usable' })
  await assert.rejects(world.authorise(consent, { ...order, accountIds: [] }), { code: 'field_missing' })
  const third = await world.newAccount({ customerId })
  await assert.rejects(world.authorise(consent, { ...order, accountIds: [accountId, third] }), { code: 'field_invalid' })
  const { consent: authorised } = await world.authorise(consent, { ...order, accountIds: [accountId] })
  assert.equal(authorised.kind === 'account_access' ? undefined : authorised.debtorAccountId, accountId)
})

test('CON-06 authorised once only, and the challenge is spent with it', async () => {
  const { customer, customerId, accountIds, grantId } = await payer()
  const consent = await world.lodgePayment()
  const challengeId = await world.answered(customer, consent)
  await world.authorise(consent, { customerId, accountIds, grantId, challengeId })
  await assert.rejects(world.authorise(consent, { customerId, accountIds, grantId, challengeId }), { code: 'consent_not_authorised' })
  const spent = await world.owner.oneFirst(
    sql.type(z.object({ spent_at: z.date() }))`select spent_at from customers.sca_challenge where challenge_id = ${challengeId}`,
  )
  assert.deepEqual(spent, noon)
})

test('CON-06 eight authorisations at once: one wins', async () => {
  const { customer, customerId, accountIds, grantId } = await payer()
  const consent = await world.lodgePayment()
  const challengeId = await world.answered(customer, consent)
  const tries = await Promise.allSettled(
    Array.from({ length: 8 }, () => world.authorise(consent, { customerId, accountIds, grantId, challengeId })),
  )
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
})

test('PIS-18 a payment consent is neither deleted nor stopped', async () => {
  const { customer, customerId, accountIds, grantId } = await payer()
  const consent = await world.lodgePayment()
  await world.authorise(consent, { customerId, accountIds, grantId, challengeId: await world.answered(customer, consent) })
  await assert.rejects(
    world.asResourceApi((tx) => deleteConsent(tx, { consentId: consent.id, clientId: thirdParty, now: noon })),
    { code: 'consent_not_found' },
  )
  await assert.rejects(
    world.asAuthServer((tx) => revokeConsent(tx, { consentId: consent.id, customerId, now: noon })),
    { code: 'consent_not_found' },
  )
})

test('a payment that was authorised and never made is off after a day', async () => {
  const { customer, customerId, accountIds, grantId } = await payer()
  const consent = await world.lodgePayment()
  await world.authorise(consent, { customerId, accountIds, grantId, challengeId: await world.answered(customer, consent) })
  await expireConsents(world.worker, { now: later(dayMs - 1), limit: 100 })
  assert.equal(await statusOf(consent.id), 'AUTH')
  await expireConsents(world.worker, { now: later(dayMs), limit: 100 })
  assert.equal(await statusOf(consent.id), 'RJCT')
})

/** The detail that a first-party app sends. */
const detail = (from: string, to: string, changed: object = {}) => ({
  type: 'payment_initiation',
  instructedAmount: { amount: '12.34', currency: 'GBP' },
  debtorAccount: { account_id: from },
  creditorAccount: { account_id: to },
  creditorName: 'Whoever the app says',
  remittanceInformation: 'Lunch',
  ...changed,
})
const lodgeTransfer = (asked: unknown) => world.asAuthServer((tx) => lodgeTransferConsent(tx, { clientId: app, detail: asked, now: noon }))

test('NAT-S4 RAR-01 a detail with missing, unknown or wrong members is refused', async () => {
  const { accountId } = await payer()
  const payee = await world.newAccount()
  for (const wrong of [
    undefined,
    [],
    { type: 'payment_initiation' },
    detail(accountId, payee, { extra: 1 }),
    detail(accountId, payee, { type: 'other' }),
    detail(accountId, payee, { remittanceInformation: 'x'.repeat(141) }),
    detail(accountId, payee, { remittanceInformation: 'a\u0000b' }),
    detail('cus_1', payee),
    detail(accountId, accountId),
  ])
    await assert.rejects(lodgeTransfer(wrong), { code: 'field_invalid' })
  for (const amount of ['0', '-1', '1.234', '1e9', '']) {
    await assert.rejects(lodgeTransfer(detail(accountId, payee, { instructedAmount: { amount, currency: 'GBP' } })), {
      code: 'amount_invalid',
    })
  }
  await assert.rejects(lodgeTransfer(detail(accountId, payee, { instructedAmount: { amount: '1', currency: 'EUR' } })), {
    code: 'currency_unsupported',
  })
  await assert.rejects(lodgeTransfer(detail(accountId, `acc_${'0'.repeat(32)}`)), { code: 'account_not_permitted' })
  await assert.rejects(lodgeTransfer(detail(accountId, `ben_${'0'.repeat(32)}`)), { code: 'account_not_permitted' })
})

test('NAT-S4 the payee of a transfer is who the bank knows, not who the app says', async () => {
  const { customer, customerId, accountId, accountIds, grantId } = await payer()
  const payee = await world.newAccount()
  const consent = await lodgeTransfer(detail(accountId, payee))
  assert.deepEqual(consent.creditor, { name: 'Ann Example', ...(await sortCodeAccount(payee)) })
  assert.deepEqual([consent.amount, consent.creditorAccountId, consent.reference], [gbp(1234), payee, 'Lunch'])
  const challengeId = await world.answered(customer, consent)
  const { outcome, consent: authorised } = await world.authorise(consent, { customerId, accountIds, grantId, challengeId })
  assert.deepEqual([outcome, authorised.status], ['authorised', 'AUTH'])
})

test('NAT-S4 a transfer from another customer’s account, or to their beneficiary, is rejected', async () => {
  const { customer, customerId, accountId, accountIds, grantId } = await payer()
  const stranger = await payer()
  const strangers = await beneficiaryOf(stranger.customerId)
  for (const [index, asked] of [detail(stranger.accountId, await world.newAccount()), detail(accountId, strangers)].entries()) {
    const consent = await lodgeTransfer(asked)
    const now = later(index * minuteMs)
    const challengeId = await world.answered(customer, consent, now)
    assert.equal((await world.authorise(consent, { customerId, accountIds, grantId, challengeId, now })).outcome, 'rejected')
  }
})

test('NAT-S4 a transfer to one’s own beneficiary is bound to the account entered there', async () => {
  const { customer, customerId, accountId, accountIds, grantId } = await payer()
  const consent = await lodgeTransfer(detail(accountId, await beneficiaryOf(customerId)))
  assert.deepEqual(consent.creditor, { name: 'Gas Works', schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '20000055555555' })
  const challengeId = await world.answered(customer, consent)
  assert.equal((await world.authorise(consent, { customerId, accountIds, grantId, challengeId })).outcome, 'authorised')
})

async function beneficiaryOf(customerId: `cus_${string}`): Promise<string> {
  const token = { ...bareToken, clientId: app, scopes: new Set(['beneficiaries:write']), grantId: await world.grant(customerId, app) }
  const access = await world.access(token, { api: 'bank', operation: 'beneficiaries.add', now: noon })
  const identification = { schemeName: 'UK.OBIE.SortCodeAccountNumber', identification: '20000055555555' }
  return (await world.asResourceApi((tx) => addBeneficiary(tx, { access, name: 'Gas Works', ...identification, now: noon }))).id
}
