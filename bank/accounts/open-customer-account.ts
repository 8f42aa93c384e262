import type { Transaction } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'
import { recordEvent } from '../events/record-event.ts'
import type { AccountId, CustomerId, EntryId } from '../ids.ts'
import { type NewAccount, openAccount } from '../ledger/open-account.ts'
import { transfer } from '../ledger/transfer.ts'
import { formatMoney, type Money } from '../money.ts'
import { refuse } from '../refusal.ts'

export type Opening = Omit<NewAccount, 'kind' | 'customerId' | 'currency'> & {
  readonly customerId: CustomerId
  /** Its first entry, and what account it comes from. Of nothing, there is no entry. */
  readonly first: Money
  readonly from?: AccountId | undefined
  readonly actor: string
}

/**
 * Opens a customer's account, with its first money on it.
 *
 * @returns the entry that brought it; undefined where there is none.
 * @throws {Refusal} `field_missing` when it is not said where the money comes from; `insufficient_funds` and `account_not_usable` of there.
 */
export async function openCustomerAccount(tx: Transaction, { first, from, actor, ...account }: Opening): Promise<EntryId | undefined> {
  const { accountId, customerId, now } = account
  await openAccount(tx, { ...account, kind: 'customer', currency: first.currency })
  const firstBy = first.minor > 0n ? await bringFirst(tx, { accountId, first, from, now }) : undefined
  const facts = { first: formatMoney(first), currency: first.currency }
  await appendAudit(tx, { actor, action: 'account.opened', subject: accountId, details: { ...facts, customerId, from }, now })
  await recordEvent(tx, { type: 'account.opened', subject: accountId, customerId, payload: { accountId, ...facts }, now })
  return firstBy
}

type First = Pick<Opening, 'accountId' | 'first' | 'from' | 'now'>

async function bringFirst(tx: Transaction, { accountId, first, from, now }: First): Promise<EntryId> {
  if (from === undefined) return refuse('field_missing', 'it is not said where its first money comes from')
  const words = { kind: 'opening', description: 'Account opened', reference: accountId } as const
  const outcome = await transfer(tx, { ...words, from, to: accountId, amount: first, now })
  return 'posted' in outcome ? outcome.posted : refuse(outcome.declined, 'its first money cannot come from there')
}
