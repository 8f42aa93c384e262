import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { AccountId } from '../ids.ts'
import { type Currency, isCurrency } from '../money.ts'

export type CreditorAccount = { readonly id: AccountId; readonly currency: Currency; readonly status: 'open' | 'frozen' | 'closed' }

const creditorRow = z.object({
  account_id: z.custom<AccountId>(),
  currency: z.custom<Currency>(isCurrency),
  status: z.enum(['open', 'frozen', 'closed']),
})

export type CreditorSought = {
  /** If the consent knows it already. */
  readonly accountId: AccountId | undefined
  readonly schemeName: string
  readonly identification: string
  readonly currency: Currency
}

/**
 * Where the money for a creditor goes: to their account here, or, when they bank elsewhere, to our settlement account of
 * the currency (the one that has no number), from which it leaves for their bank.
 */
export async function findCreditorAccount(tx: Transaction, sought: CreditorSought): Promise<CreditorAccount> {
  const { account_id, currency, status } = await tx.one(sql.type(creditorRow)`
    select account_id, currency, status from ledger.account
    where account_id = ${sought.accountId ?? null}
      or (${sought.accountId === undefined} and ${accountNamedBy(sought)})
      or (kind = 'settlement' and currency = ${sought.currency} and account_number is null and iban is null)
    order by account_number is null and iban is null, account_id limit 1`)
  return { id: account_id, currency, status }
}

function accountNamedBy({ schemeName, identification }: CreditorSought) {
  switch (schemeName) {
    case 'UK.OBIE.SortCodeAccountNumber':
      return sql.fragment`(sort_code = ${identification.slice(0, 6)} and account_number = ${identification.slice(6)})`
    case 'UK.OBIE.IBAN':
      return sql.fragment`iban = ${identification.replaceAll(' ', '').toUpperCase()}`
    default:
      return sql.fragment`false`
  }
}
