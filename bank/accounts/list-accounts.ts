import { sql, type Transaction } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import { type Account, accountColumns, accountRow, toAccount } from './account.ts'

/** The accounts that the decision reaches, oldest first. */
export async function listAccounts(tx: Transaction, access: AccessDecision): Promise<readonly Account[]> {
  const rows = await tx.any(sql.type(accountRow)`
    select ${accountColumns} from ledger.account
    where account_id = any(${sql.array([...access.accounts], 'text')})
    order by opened_at, account_id`)
  return rows.map((row) => toAccount(row, access))
}
