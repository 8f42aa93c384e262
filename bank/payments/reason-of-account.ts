import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { AccountId } from '../ids.ts'
import type { RejectionReason } from './payment.ts'

const statusRow = z.object({ status: z.enum(['open', 'frozen', 'closed']) })

/** Why the ledger would not debit an account that is not usable. */
export async function reasonOfDebtor(tx: Transaction, accountId: AccountId): Promise<RejectionReason> {
  return (await statusOf(tx, accountId)) === 'closed' ? 'AC04' : 'AC06'
}

/** The same when it may be either end: the debtor is named first. */
export async function reasonOfEither(tx: Transaction, debtorId: AccountId): Promise<RejectionReason> {
  return (await statusOf(tx, debtorId)) === 'open' ? 'AC07' : await reasonOfDebtor(tx, debtorId)
}

async function statusOf(tx: Transaction, accountId: AccountId) {
  const { status } = await tx.one(sql.type(statusRow)`select status from ledger.account where account_id = ${accountId}`)
  return status
}
