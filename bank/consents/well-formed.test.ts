import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, violatedConstraint } from '@bankside/service-kit/postgres'
import { newConsentId } from '../ids.ts'
import { gbp, openTestBank, type TestBank } from '../payments/testing/test-bank.ts'

let bank: TestBank
before(async () => {
  bank = await openTestBank()
})
after(() => bank.close())

test('a consent that makes no sense is refused by the name of what is wrong with it, when it is written and when it changes', async () => {
  const from = await bank.newAccount()
  const { consentId } = await bank.newConsent({ debtorAccountId: from, amount: gbp(1_000) })
  const write = (changed: object) =>
    bank.owner
      .query(sql.unsafe`
        insert into consents.consent
        select (jsonb_populate_record(c, ${JSON.stringify({ consent_id: newConsentId(), ...changed })}::jsonb)).* from consents.consent c
        where consent_id = ${consentId}`)
      .then(() => undefined, violatedConstraint)
  assert.equal(await write({}), undefined)
  const managed = `gnt_${'0'.repeat(32)}`
  for (const [changed, constraint] of [
    [{ consent_id: 'con_1' }, 'consent_id_is_prefixed'],
    [{ kind: 'standing_order' }, 'consent_kind_is_known'],
    [{ status: 'DONE' }, 'consent_status_is_known'],
    [{ status_reason_code: 'U0380' }, 'consent_reason_code_is_short'],
    [{ currency: null }, 'consent_amount_has_a_currency'],
    [{ amount_minor: 0 }, 'consent_amount_is_positive'],
    [{ kind: 'account_access' }, 'consent_payment_has_an_amount'],
    [{ creditor_name: null }, 'consent_payment_has_a_creditor'],
    [
      { kind: 'account_access', amount_minor: null, currency: null, creditor_name: null, status: 'COND' },
      'consent_only_payments_are_consumed',
    ],
    [{ customer_id: null }, 'consent_authorised_has_a_customer'],
    [{ authorised_at: null }, 'consent_authorised_has_a_customer'],
    [{ debtor_account_id: null }, 'consent_authorised_payment_has_a_debtor'],
    [{ managed_grant_id: 'gnt_1', managed_since: new Date() }, 'managed_grant_id_is_prefixed'],
    [{ managed_grant_id: managed }, 'managed_grant_has_a_beginning'],
    [{ managed_grant_id: managed, managed_since: new Date(), status: 'AWAU', customer_id: null }, 'managed_grant_is_of_a_customer'],
  ] as const)
    assert.equal(await write(changed), constraint, JSON.stringify(changed))
  const change = sql.unsafe`update consents.consent set status_reason_code = 'U0380' where consent_id = ${consentId}`
  await assert.rejects(bank.owner.query(change), (error) => violatedConstraint(error) === 'consent_reason_code_is_short')
})
