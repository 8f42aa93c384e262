import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Database, sql, sqlState, violatedConstraint } from '@bankside/service-kit/postgres'
import { type AccountId, newHoldId, newPaymentId } from '../ids.ts'
import type { PaymentOrder } from './payment-order.ts'
import { submissionValues, toSubmission } from './submission-call.ts'
import { gbp, noon, openTestBank, type TestBank } from './testing/test-bank.ts'

let bank: TestBank

before(async () => {
  bank = await openTestBank()
})
after(() => bank.close())

test('a taken-over resource API writes no payment by itself, and nobody one that no customer agreed to: not from an account with funds held, nor to another payee', async () => {
  const victim = await bank.newAccount({ funds: 1_000n })
  const thief = await bank.newAccount()
  const { consentId: refused } = await bank.newConsent({ debtorAccountId: victim, amount: gbp(1000), status: 'RJCT' })
  const { consentId: agreed } = await bank.newConsent({ debtorAccountId: victim, amount: gbp(1000), status: 'COND' })
  const holdId = newHoldId()
  await bank.resourceApi.query(sql.unsafe`select ledger.place_hold(${holdId}, ${victim}, 1000, 'GBP', now(), now() + interval '1 day')`)
  type Forged = { to: AccountId | undefined; amount?: number; by?: Database }
  const forge = (consentId: string, { to, amount = 1000, by = bank.owner }: Forged) =>
    by
      .query(sql.unsafe`
        insert into payments.payment
        select ${newPaymentId()}, consent_id, client_id, customer_id, 'uk_v4', 'held', now(), null, debtor_account_id, ${to ?? null}, creditor_name,
          creditor_scheme_name, creditor_identification, ${amount}::int, currency, 'i', 'e', 'r', ${holdId}, null, now(), now()
        from consents.consent where consent_id = ${consentId}`)
      .then(
        () => 'nothing: it was done',
        (error) => violatedConstraint(error) ?? sqlState(error),
      )
  const settlement = bank.own.settlement.GBP
  for (const consentId of [refused, agreed]) assert.equal(await forge(consentId, { to: settlement, by: bank.resourceApi }), '42501')
  assert.equal(await forge(refused, { to: settlement }), 'payment_is_as_consented')
  assert.equal(await forge(agreed, { to: thief }), 'payment_is_as_consented')
  assert.equal(await forge(agreed, { to: settlement, amount: 1001 }), 'payment_is_as_consented')
  assert.equal(await forge(agreed, { to: bank.own.settlement.EUR }), 'payment_is_as_consented')
  assert.equal(await forge(agreed, { to: settlement }), 'nothing: it was done')
})

test('a taken-over resource API pays nothing a second time beside a payment that stands at the same place of a call, nor holds it', async () => {
  const victim = await bank.newAccount({ funds: 10_000n })
  const thief = await bank.newAccount({ funds: 10_000n })
  const paid = await bank.newConsent({ debtorAccountId: victim, creditorAccountId: thief, amount: gbp(1_000) })
  await bank.submit(paid)
  const own = await bank.newConsent({ debtorAccountId: thief, creditorAccountId: victim, amount: gbp(1) })
  const submissions = [paid, own].map((consent, index) => {
    const order = { ...consent, channel: 'uk_v4', key: bank.keyOf(consent, `forged ${index}`) } as PaymentOrder
    return toSubmission(order, consent.consentId, noon)
  })
  const submitAt = async (places: readonly (number | null)[]) => {
    const [rows = '', ...others] = submissionValues(submissions, noon)
    const placed = (JSON.parse(rows) as object[]).map((row, index) => ({ ...row, position: places[index] }))
    const values = sql.join([JSON.stringify(placed), ...others], sql.fragment`, `)
    return await bank.resourceApi.query(sql.unsafe`select from payments.submit(${values})`).then(() => 'it was done', violatedConstraint)
  }
  const places = [[1, 1], [2, 2], [1, 3], [0, 1], [1, null], [null, null]] // biome-ignore format: a table
  for (const straightThrough of [true, false]) {
    await bank.straightThrough(straightThrough)
    for (const placed of places) assert.equal(await submitAt(placed), 'call_is_in_order', placed.join())
  }
  const [account] = await bank.owner.any(sql.unsafe`select posted_minor, held_minor from ledger.account where account_id = ${victim}`)
  assert.deepEqual(account, { posted_minor: 10_000n, held_minor: 1_000n })
  assert.equal(await submitAt([1, 2]), 'it was done')
})
