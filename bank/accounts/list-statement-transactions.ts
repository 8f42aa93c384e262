import type { History } from '@bankside/service-kit/history'
import type { AccessDecision } from '../access/decide-access.ts'
import { findStatement, type StatementName } from './list-statements.ts'
import { listTransactions, type TransactionPage } from './list-transactions.ts'
import { periodOf } from './statement.ts'

/**
 * What a statement is of, a page at a time.
 *
 * @throws {Refusal} as {@link findStatement} and {@link listTransactions}: it takes the permissions for both.
 */
export async function listStatementTransactions(
  history: History,
  access: AccessDecision,
  { limit, after, ...name }: StatementName & { readonly limit: number; readonly after?: string | undefined },
): Promise<TransactionPage & { readonly month: string }> {
  const { accountId, month } = await findStatement(history, access, name)
  return { ...(await listTransactions(history, access, { accountId, ...periodOf(month), limit, after })), month }
}
