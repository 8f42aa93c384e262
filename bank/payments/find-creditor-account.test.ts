import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { transact } from '@bankside/service-kit/postgres'
import type { AccountId } from '../ids.ts'
import { openAccount } from '../ledger/open-account.ts'
import { findCreditorAccount } from './find-creditor-account.ts'
import { noon, openTestBank, type TestBank } from './testing/test-bank.ts'

let bank: TestBank

before(async () => {
  bank = await openTestBank()
})
after(() => bank.close())

const find = (accountId: AccountId | undefined, identification: string) =>
  transact(bank.resourceApi, (tx) =>
    findCreditorAccount(tx, { accountId, currency: 'GBP', schemeName: 'UK.OBIE.SortCodeAccountNumber', identification }),
  )

test('the account that a consent names is paid, never the settlement account, also when it has no number', async () => {
  for (const digit of ['0', 'f']) {
    const accountId: AccountId = `acc_${digit.repeat(32)}`
    const account = { accountId, customerId: await bank.newCustomer(), kind: 'customer', currency: 'GBP' } as const
    const named = { nickname: 'Pot', holderName: 'Ann Example', typeCode: 'SVGS', now: noon } as const
    await transact(bank.owner, (tx) => openAccount(tx, { ...account, ...named }))
    const found = await find(accountId, '20000012345678')
    assert.deepEqual([found.id, found.isOurs, found.isMissing], [accountId, true, false])
  }
})

test('a number that no account here has is paid by way of the settlement account', async () => {
  const found = await find(undefined, '20000012345678')
  assert.deepEqual([found.id, found.isOurs, found.isMissing], [bank.own.settlement.GBP, false, false])
})
