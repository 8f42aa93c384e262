import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type AccountId, type EntryId, newEntryId } from '../ids.ts'
import type { Money } from '../money.ts'
import { type Party, partyValue } from './party.ts'

export type Transfer = {
  readonly from: AccountId
  readonly to: AccountId
  readonly amount: Money
  readonly kind: 'opening' | 'transfer'
  readonly description: string
  readonly reference: string
  /** Who the statements name, where an account stands for others: the settlement account for people at other banks. */
  readonly debtor?: Party
  readonly creditor?: Party
  readonly now: Date
}
export type TransferOutcome = { readonly posted: EntryId } | { readonly declined: 'insufficient_funds' | 'account_not_usable' }

const Row = z.object({ outcome: z.enum(['posted', 'insufficient_funds', 'account_not_usable']) })

/** Moves money at once. Lack of funds is an outcome and not an error. A payment takes the longer way: hold, then capture. */
export async function transfer(tx: Transaction, order: Transfer): Promise<TransferOutcome> {
  const entryId = newEntryId(order.now)
  const { outcome } = await tx.one(sql.type(Row)`
    select ledger.transfer(
      ${entryId}, ${order.kind}, ${order.from}, ${order.to}, ${order.amount.minor}, ${order.amount.currency}, ${order.description},
      ${order.reference}, ${partyValue(order.debtor)}, ${partyValue(order.creditor)}, ${sql.timestamp(order.now)}) as outcome`)
  return outcome === 'posted' ? { posted: entryId } : { declined: outcome }
}
