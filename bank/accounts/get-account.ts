import { sql, type Transaction } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import { type Account, accountColumns, accountRow, permittedAccount, toAccount } from './account.ts'

/** @throws {Refusal} `account_not_permitted`. */
export async function getAccount(tx: Transaction, access: AccessDecision, accountId: string): Promise<Account> {
  const row = await tx.one(sql.type(accountRow)`
    select ${accountColumns} from ledger.account where account_id = ${permittedAccount(access, accountId)}`)
  return toAccount(row, access)
}
