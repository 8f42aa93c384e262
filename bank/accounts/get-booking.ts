import { type Transaction as DatabaseTransaction, sql } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import { isEntryId } from '../ids.ts'
import { refuse } from '../refusal.ts'
import { type Transaction, toTransaction, transactionRow } from './transaction.ts'
import { visiblePostings } from './visible-postings.ts'

/**
 * What was booked without a payment, such as a salary or an opening balance, for who may see one of its accounts (NAT-S6):
 * once for each account that the decision reaches, the debit first. What a payment was booked by goes by the payment's id alone.
 *
 * @throws {Refusal} `payment_not_found`, whatever the reason.
 */
export async function getBooking(
  tx: DatabaseTransaction,
  access: AccessDecision,
  entryId: string,
): Promise<readonly [Transaction, ...Transaction[]]> {
  if (!isEntryId(entryId)) refuse('payment_not_found', 'not the id of an entry')
  const rows = await tx.any(sql.type(transactionRow)`
    ${visiblePostings(access, [
      sql.fragment`p.entry_id = ${entryId}`,
      sql.fragment`p.account_id = any(${sql.array([...access.accounts], 'text')})`,
    ])}
    order by p.amount_minor`)
  const [first, ...others] = rows.map((row) => toTransaction(row, access)).filter(({ paymentId }) => paymentId === undefined)
  return first === undefined ? refuse('payment_not_found', 'no such entry for this viewer') : [first, ...others]
}
