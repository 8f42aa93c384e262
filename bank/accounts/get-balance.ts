import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import type { AccountId } from '../ids.ts'
import { type Currency, isCurrency, type Money } from '../money.ts'
import { refuse } from '../refusal.ts'
import { permittedAccount } from './account.ts'

export type Balance = {
  readonly accountId: AccountId
  /** All that is booked. Below zero when overdrawn. */
  readonly posted: Money
  /** Set aside for payments on their way. */
  readonly held: Money
  /** What may be spent: booked, less held, plus the overdraft. */
  readonly available: Money
  readonly overdraft: Money
}

const balanceRow = z.object({
  currency: z.custom<Currency>(isCurrency),
  posted_minor: z.bigint(),
  held_minor: z.bigint(),
  overdraft_minor: z.bigint(),
})

/** @throws {Refusal} `permission_missing`, `account_not_permitted`. */
export async function getBalance(tx: Transaction, access: AccessDecision, accountId: string): Promise<Balance> {
  if (!access.permissions.has('ReadBalances')) refuse('permission_missing', 'the consent does not include ReadBalances')
  const id = permittedAccount(access, accountId)
  const row = await tx.one(sql.type(balanceRow)`
    select currency, posted_minor, held_minor, overdraft_minor from ledger.account where account_id = ${id}`)
  const money = (minor: bigint): Money => ({ minor, currency: row.currency })
  return {
    accountId: id,
    posted: money(row.posted_minor),
    held: money(row.held_minor),
    available: money(row.posted_minor - row.held_minor + row.overdraft_minor),
    overdraft: money(row.overdraft_minor),
  }
}
