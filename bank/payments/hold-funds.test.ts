import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { transact } from '@bankside/service-kit/postgres'
import { lockAuthorisedConsent } from '../consents/lock-authorised-consent.ts'
import type { AccountId } from '../ids.ts'
import { openAccount } from '../ledger/open-account.ts'
import { holdFunds } from './hold-funds.ts'
import { gbp, later, noon, openTestBank, type TestBank } from './testing/test-bank.ts'

let bank: TestBank

before(async () => {
  bank = await openTestBank()
})
after(() => bank.close())

async function held(creditorAccountId?: AccountId) {
  const debtorAccountId = await bank.newAccount({ funds: 100n })
  const here = creditorAccountId && {
    kind: 'transfer' as const,
    creditorAccountId,
    creditor: { name: 'Ann Example', schemeName: 'BANKSIDE.AccountId', identification: creditorAccountId },
  }
  const { consentId } = await bank.newConsent({ debtorAccountId, amount: gbp(1), ...here })
  const outcome = await transact(bank.resourceApi, async (tx) => {
    const consent = await lockAuthorisedConsent(tx, { consentId, clientId: 'third-party', now: noon })
    return holdFunds(tx, consent, { channel: 'uk_v4', now: noon, expiresAt: later(1) })
  })
  assert.ok('holdId' in outcome.decision)
  return outcome.creditor
}

test('the account that a consent names is paid, never the settlement account, also when it has no number', async () => {
  for (const digit of ['0', 'f']) {
    const accountId: AccountId = `acc_${digit.repeat(32)}`
    const account = { accountId, customerId: await bank.newCustomer(), kind: 'customer', currency: 'GBP' } as const
    const named = { nickname: 'Pot', holderName: 'Ann Example', typeCode: 'SVGS', now: noon } as const
    await transact(bank.owner, (tx) => openAccount(tx, { ...account, ...named }))
    assert.deepEqual(await held(accountId), { id: accountId, isOurs: true })
  }
})

test('a number that no account here has is paid by way of the settlement account', async () => {
  assert.deepEqual(await held(), { id: bank.own.settlement.GBP, isOurs: false })
})
