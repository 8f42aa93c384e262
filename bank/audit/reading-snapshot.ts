import { type Database, sql, type Transaction, transact } from '@bankside/service-kit/postgres'

const mayTakeMs = 10 * 60_000

/** Reads what belongs together as it is at one moment, changes nothing, and may take its time. On a replica, too. */
export const readingSnapshot = <Result>(database: Database, work: (tx: Transaction) => Promise<Result>): Promise<Result> =>
  transact(database, async (tx) => {
    await tx.query(sql.unsafe`set transaction isolation level repeatable read, read only`)
    await tx.query(sql.unsafe`select set_config('statement_timeout', ${`${mayTakeMs}ms`}, true)`)
    return work(tx)
  })
