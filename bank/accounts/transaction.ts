import { sql, z } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import { type AccountId, type EntryId, isAccountId, type PaymentId } from '../ids.ts'
import { type Currency, isCurrency, type Money } from '../money.ts'

const entryKinds = ['opening', 'transfer', 'reversal', 'exchange', 'closing'] as const
export type EntryKind = (typeof entryKinds)[number]

/** One leg of an entry, as far as a decision opens it. What it does not open is undefined. */
export type Transaction = {
  /** Never changes; distinct for the two legs of one entry. */
  readonly id: string
  readonly accountId: AccountId
  readonly entryId: EntryId
  /** The payment that was booked by this, if there was one. */
  readonly paymentId: PaymentId | undefined
  readonly kind: EntryKind
  /** Below zero when money left the account. */
  readonly amount: Money
  readonly reference: string
  readonly bookedAt: Date
  /** The day from which it counts, `2026-11-28`: that of booking, or an earlier one. */
  readonly valueDate: string
  /** ReadTransactionsDetail */
  readonly description: string | undefined
  readonly balanceAfter: Money | undefined
  readonly counterparty: Counterparty | undefined
}

export type Counterparty = { readonly name: string; readonly schemeName: string | undefined; readonly identification: string | undefined }

export const transactionRow = z.object({
  account_id: z.custom<AccountId>(isAccountId),
  posting_number: z.bigint(),
  entry_id: z.templateLiteral(['ent_', z.string()]),
  payment_id: z.templateLiteral(['pay_', z.string()]).nullable(),
  kind: z.enum(entryKinds),
  currency: z.custom<Currency>(isCurrency),
  amount_minor: z.bigint(),
  balance_minor: z.bigint(),
  description: z.string(),
  reference: z.string(),
  counterparty_name: z.string(),
  counterparty_scheme_name: z.string().nullable(),
  counterparty_identification: z.string().nullable(),
  booked_at: z.date(),
  value_date: z.string(),
})
export type TransactionRow = z.infer<typeof transactionRow>

export const transactionColumns = sql.fragment`
  p.account_id, p.posting_number, p.entry_id, e.payment_id, e.kind, p.currency, p.amount_minor, p.balance_minor, e.description, e.reference,
  p.counterparty_name, p.counterparty_scheme_name, p.counterparty_identification, p.booked_at, e.value_date`

/** Leaves out what the decision does not open (AIS-07). */
export function toTransaction(row: TransactionRow, { permissions }: AccessDecision): Transaction {
  const detail = permissions.has('ReadTransactionsDetail')
  return {
    id: `${row.entry_id}.${row.amount_minor < 0n ? 'debit' : 'credit'}`,
    accountId: row.account_id,
    entryId: row.entry_id,
    // A reversal is no payment, though it may name the one it takes back.
    paymentId: row.kind === 'transfer' ? (row.payment_id ?? undefined) : undefined,
    kind: row.kind,
    amount: { minor: row.amount_minor, currency: row.currency },
    reference: row.reference,
    bookedAt: row.booked_at,
    valueDate: row.value_date,
    description: detail ? row.description : undefined,
    balanceAfter: detail ? { minor: row.balance_minor, currency: row.currency } : undefined,
    counterparty: detail
      ? {
          name: row.counterparty_name,
          schemeName: row.counterparty_scheme_name ?? undefined,
          identification: row.counterparty_identification ?? undefined,
        }
      : undefined,
  }
}
