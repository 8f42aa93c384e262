import type { QuerySqlToken } from 'slonik'
import type { Transaction } from './postgres.ts'

/**
 * For what may be known a little late: what was booked, never what a decision rests on. A transaction is good for it. The other
 * way round, whatever decides, locks or writes cannot be given this: it is no transaction.
 */
export type History = Pick<Transaction, 'any'>

/**
 * @param holding Finds a row that must be there already, because what is asked follows on from it: where a copy of the database
 *   has not come so far, the database itself is asked.
 */
export const onceItHolds = <Query extends QuerySqlToken>(
  query: Query,
  holding: QuerySqlToken,
): Query & { readonly holding: QuerySqlToken } => ({
  ...query,
  holding,
})
