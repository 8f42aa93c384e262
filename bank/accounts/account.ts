import { sql, z } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import { type AccountId, isAccountId } from '../ids.ts'
import { type Currency, isCurrency, type Money } from '../money.ts'
import { refuse } from '../refusal.ts'

/** An account as far as a decision opens it. What it does not open is undefined. */
export type Account = {
  readonly id: AccountId
  readonly nickname: string
  readonly typeCode: AccountTypeCode
  readonly currency: Currency
  readonly status: 'open' | 'frozen' | 'closed'
  readonly openedAt: Date
  /** ReadAccountsDetail */
  readonly holderName: string | undefined
  readonly sortCode: string | undefined
  readonly accountNumber: string | undefined
  readonly iban: string | undefined
  /** ReadBalances */
  readonly posted: Money | undefined
  readonly held: Money | undefined
  readonly available: Money | undefined
}

/** ISO 20022: current, savings, other. */
export type AccountTypeCode = 'CACC' | 'SVGS' | 'OTHR'

export const accountRow = z.object({
  account_id: z.custom<AccountId>(isAccountId),
  nickname: z.string(),
  holder_name: z.string(),
  type_code: z.enum(['CACC', 'SVGS', 'OTHR']),
  currency: z.custom<Currency>(isCurrency),
  sort_code: z.string().nullable(),
  account_number: z.string().nullable(),
  iban: z.string().nullable(),
  status: z.enum(['open', 'frozen', 'closed']),
  posted_minor: z.bigint(),
  held_minor: z.bigint(),
  overdraft_minor: z.bigint(),
  opened_at: z.date(),
})

export const accountColumns = sql.fragment`account_id, nickname, holder_name, type_code, currency, sort_code, account_number, iban, status,
  posted_minor, held_minor, overdraft_minor, opened_at`

/** Leaves out what the decision does not open (AIS-06, AIS-07). */
export function toAccount(row: z.infer<typeof accountRow>, { permissions }: AccessDecision): Account {
  const detail = permissions.has('ReadAccountsDetail')
  const balances = permissions.has('ReadBalances')
  const money = (minor: bigint): Money | undefined => (balances ? { minor, currency: row.currency } : undefined)
  return {
    id: row.account_id,
    nickname: row.nickname,
    typeCode: row.type_code,
    currency: row.currency,
    status: row.status,
    openedAt: row.opened_at,
    holderName: detail ? row.holder_name : undefined,
    sortCode: detail ? (row.sort_code ?? undefined) : undefined,
    accountNumber: detail ? (row.account_number ?? undefined) : undefined,
    iban: detail ? (row.iban ?? undefined) : undefined,
    posted: money(row.posted_minor),
    held: money(row.held_minor),
    available: money(row.posted_minor - row.held_minor + row.overdraft_minor),
  }
}

/**
 * The account that a request names, if the decision reaches it. Unknown, of another and not chosen are one answer (D4, NAT-S2).
 *
 * @throws {Refusal} `account_not_permitted`.
 */
export function permittedAccount({ accounts }: AccessDecision, accountId: string): AccountId {
  if (!isAccountId(accountId) || !accounts.has(accountId)) refuse('account_not_permitted', 'the account is not open to this call')
  return accountId
}
