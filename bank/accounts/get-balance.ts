import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import type { AccountFunds } from '../access/standing.ts'
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
  const id = readableAccount(access, accountId)
  return toBalance(id, access.named?.accountId === id ? access.named : await readFunds(tx, id))
}

/** The same of the account that the request names, which was read with the access decision. @throws {Refusal} as {@link getBalance}. */
export function namedBalance(access: AccessDecision, accountId: string): Balance | undefined {
  const id = readableAccount(access, accountId)
  return access.named?.accountId === id ? toBalance(id, access.named) : undefined
}

function readableAccount(access: AccessDecision, accountId: string): AccountId {
  if (!access.permissions.has('ReadBalances')) refuse('permission_missing', 'the consent does not include ReadBalances')
  return permittedAccount(access, accountId)
}

function toBalance(accountId: AccountId, { currency, postedMinor, heldMinor, overdraftMinor }: Funds): Balance {
  const money = (minor: bigint): Money => ({ minor, currency })
  return {
    accountId,
    posted: money(postedMinor),
    held: money(heldMinor),
    available: money(postedMinor - heldMinor + overdraftMinor),
    overdraft: money(overdraftMinor),
  }
}

type Funds = Omit<AccountFunds, 'accountId'>

async function readFunds(tx: Transaction, id: AccountId): Promise<Funds> {
  const row = await tx.one(sql.type(balanceRow)`
    select currency, posted_minor, held_minor, overdraft_minor from ledger.account where account_id = ${id}`)
  return { currency: row.currency, postedMinor: row.posted_minor, heldMinor: row.held_minor, overdraftMinor: row.overdraft_minor }
}
