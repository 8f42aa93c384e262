import { sql, type Transaction } from '@bankside/service-kit/postgres'
import type { AccountId, CustomerId } from '../ids.ts'
import type { Currency } from '../money.ts'

/** Whose money it is: a customer's, or the bank's own, by what it is for. */
export type AccountKind = 'customer' | 'internal' | 'settlement' | 'fee' | 'suspense' | 'position' | 'equity'

export type NewAccount = {
  readonly accountId: AccountId
  /** Null for the bank's own accounts. */
  readonly customerId: CustomerId | null
  readonly kind: AccountKind
  readonly currency: Currency
  readonly nickname: string
  readonly holderName: string
  /** ISO 20022 ExternalCashAccountType: current, savings, other. */
  readonly typeCode: 'CACC' | 'SVGS' | 'OTHR'
  readonly sortCode?: string | undefined
  readonly accountNumber?: string | undefined
  readonly iban?: string | undefined
  readonly overdraftMinor?: bigint
  readonly now: Date
}

/** Opens an account with nothing on it. Only the bank's own accounts may go below zero. */
export async function openAccount(tx: Transaction, account: NewAccount): Promise<void> {
  await tx.query(sql.unsafe`
    select ledger.open_account(
      ${account.accountId}, ${account.customerId}, ${account.kind}, ${account.currency}, ${account.nickname}, ${account.holderName},
      ${account.typeCode}, ${account.sortCode ?? null}, ${account.accountNumber ?? null}, ${account.iban ?? null},
      ${account.overdraftMinor ?? 0n}, ${sql.timestamp(account.now)})`)
}
