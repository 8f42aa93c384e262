import { type Database, sql, transact, z } from '@bankside/service-kit/postgres'
import { type DiscrepancyName, ledgerChecks, paymentChecks } from './reconciliation-checks.ts'

export type Discrepancy = {
  readonly name: DiscrepancyName
  /** Id of what is wrong: an account, entry, hold, payment or consent, or a currency. */
  readonly subject: string
  readonly detail: string
}

/** Where one thing is wrong, often many are: more of one kind than this are not listed. */
export const maxDiscrepanciesPerCheck = 100
const mayTakeMs = 10 * 60 * 1000

const checks = { ...ledgerChecks, ...paymentChecks }
const names = Object.keys(checks) as DiscrepancyName[]
const discrepancyRow = z.object({ subject: z.string(), detail: z.string() })

/**
 * Proves the books from what was booked: adds up every posting again and compares the sums with the balances that are
 * kept beside them, and the ledger with the payments and consents that moved it. One snapshot, nothing is locked.
 *
 * @returns everything that does not agree: nothing, in a sound bank.
 */
export async function reconcile(database: Database): Promise<Discrepancy[]> {
  return await transact(database, async (tx) => {
    await tx.query(sql.unsafe`set transaction isolation level repeatable read, read only`)
    await tx.query(sql.unsafe`select set_config('statement_timeout', ${`${mayTakeMs}ms`}, true)`)
    const discrepancies: Discrepancy[] = []
    for (const name of names) {
      const rows = await tx.any(sql.type(discrepancyRow)`
        select subject, detail from (${checks[name]}) as found (subject, detail) order by subject limit ${maxDiscrepanciesPerCheck}`)
      discrepancies.push(...rows.map(({ subject, detail }) => ({ name, subject, detail })))
    }
    return discrepancies
  })
}
