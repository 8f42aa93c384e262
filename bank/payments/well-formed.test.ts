import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type SqlFragment, sql, violatedConstraint } from '@bankside/service-kit/postgres'
import { newHoldId, newPaymentId } from '../ids.ts'
import type { PaymentOrder } from './payment-order.ts'
import { submissionValues, toSubmission } from './submission-call.ts'
import { gbp, noon, openTestBank, type TestBank } from './testing/test-bank.ts'

let bank: TestBank
before(async () => {
  bank = await openTestBank()
})
after(() => bank.close())

const said = (asked: Promise<unknown>) => asked.then(() => undefined, violatedConstraint)

test('a payment that makes no sense is refused by the name of what is wrong with it, when it is written and when it changes', async () => {
  const from = await bank.newAccount({ funds: 10_000n })
  const { id } = await bank.submit(await bank.newConsent({ debtorAccountId: from, amount: gbp(1_000) }))
  const { consentId } = await bank.newConsent({ debtorAccountId: from, amount: gbp(1_000), status: 'COND' })
  const holdId = newHoldId()
  await bank.resourceApi.query(sql.unsafe`select ledger.place_hold(${holdId}, ${from}, 1000, 'GBP', now(), now() + interval '1 day')`)
  const write = (changed: object) => {
    const written = JSON.stringify({ payment_id: newPaymentId(), consent_id: consentId, hold_id: holdId, ...changed })
    return said(
      bank.owner.query(sql.unsafe`
        insert into payments.payment select (jsonb_populate_record(p, ${written}::jsonb)).* from payments.payment p where payment_id = ${id}`),
    )
  }
  for (const [changed, constraint] of [
    [{ payment_id: 'pay_1' }, 'payment_id_is_prefixed'],
    [{ channel: 'telephone' }, 'payment_channel_is_known'],
    [{ status: 'lost' }, 'payment_status_is_known'],
    [{ amount_minor: 0 }, 'payment_amount_is_positive'],
    [{ creditor_account_id: from }, 'payment_debtor_is_not_creditor'],
    [{ hold_id: null }, 'payment_held_has_a_hold'],
    [{ entry_id: `ent_${'0'.repeat(32)}` }, 'payment_posted_has_an_entry'],
    [{ rejection_reason: 'AM04' }, 'payment_rejected_has_a_reason'],
  ] as const)
    assert.equal(await write(changed), constraint, JSON.stringify(changed))
  const change = (set: SqlFragment) =>
    said(bank.owner.query(sql.unsafe`update payments.payment set ${set}, lease = lease + 1 where payment_id = ${id}`))
  assert.equal(await change(sql.fragment`status = 'rejected', step = null`), 'payment_rejected_has_a_reason')
  assert.equal(await change(sql.fragment`status = 'posted', step = null`), 'payment_posted_has_an_entry')
  assert.equal(await write({}), undefined)
})

test('a resource API that was taken over gives no payment a name of its own kind', async () => {
  const from = await bank.newAccount({ funds: 10_000n })
  const consent = await bank.newConsent({ debtorAccountId: from, amount: gbp(1_000) })
  const order = { ...consent, channel: 'uk_v4', key: bank.keyOf(consent, 'named') } as PaymentOrder
  const submit = (paymentId: string) => {
    const values = submissionValues([{ ...toSubmission(order, consent.consentId, noon), paymentId: paymentId as `pay_${string}` }], noon)
    return said(bank.resourceApi.query(sql.unsafe`select from payments.submit(${sql.join(values, sql.fragment`, `)})`))
  }
  for (const paymentId of ['', 'pay_1', `con_${'0'.repeat(32)}`]) assert.equal(await submit(paymentId), 'payment_id_is_prefixed')
  assert.equal(await submit(newPaymentId(noon)), undefined)
})
