import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { accountNamedBy, isOfThisBank } from '../accounts/account-named-by.ts'
import type { AccountIdentification } from '../consents/consent.ts'
import type { AccountId } from '../ids.ts'
import { type Currency, isCurrency } from '../money.ts'

export type CreditorAccount = {
  readonly id: AccountId
  readonly currency: Currency
  readonly status: 'open' | 'frozen' | 'closed'
  /** False for our settlement account. */
  readonly isOurs: boolean
  /** The creditor is said to bank here, and does not. `id` is then our settlement account, which must not be paid for them. */
  readonly isMissing: boolean
}

const creditorRow = z.object({
  account_id: z.custom<AccountId>(),
  currency: z.custom<Currency>(isCurrency),
  status: z.enum(['open', 'frozen', 'closed']),
  is_ours: z.boolean(),
  is_missing: z.boolean(),
})

export type CreditorSought = AccountIdentification & {
  /** If the consent knows it already. */
  readonly accountId: AccountId | undefined
  readonly currency: Currency
}

/**
 * Where the money for a creditor goes: to their account here, or, when they bank elsewhere, to our settlement account of
 * the currency (the one that has no number), from which it leaves for their bank.
 */
export async function findCreditorAccount(tx: Transaction, sought: CreditorSought): Promise<CreditorAccount> {
  const isSettlement = sql.fragment`kind = 'settlement' and account_number is null and iban is null`
  const isNamed = sought.accountId === undefined ? accountNamedBy(sought) : sql.fragment`account_id = ${sought.accountId}`
  const { account_id, currency, status, is_ours, is_missing } = await tx.one(sql.type(creditorRow)`
    select account_id, currency, status, kind = 'customer' or account_number is not null as is_ours, ${isSettlement} and ${isOfThisBank(sought)} as is_missing from ledger.account
    where ${isNamed} or (${isSettlement} and currency = ${sought.currency})
    order by (${isNamed}) is not true, account_id limit 1`)
  return { id: account_id, currency, status, isOurs: is_ours, isMissing: is_missing }
}
