import { type Database, reading, sql, transact, z } from '@bankside/service-kit/postgres'
import type { Discrepancy, Reconciled } from './reconcile.ts'

export type Scope = 'whole' | 'recent'

const hourMs = 60 * 60 * 1000
const wholeEveryMs = 24 * hourMs
/** Whoever began and has not finished by then is taken for dead. */
const wholeTakesAtMostMs = hourMs

/** Takes the whole for this process, when it is due and nobody else is at it. */
export async function takeWhole(database: Database, now: Date): Promise<boolean> {
  const ago = (ms: number) => sql.timestamp(new Date(now.getTime() - ms))
  const { rowCount } = await transact(database, (tx) =>
    tx.query(sql.unsafe`
      update ledger.reconciliation set began_at = ${sql.timestamp(now)}
      where scope = 'whole' and (finished_at is null or finished_at <= ${ago(wholeEveryMs)}) and (began_at is null or began_at <= ${ago(wholeTakesAtMostMs)}
        or began_at <= finished_at)`),
  )
  return rowCount === 1
}

/** From where what is recent begins. */
export const recentSince = async (database: Database): Promise<bigint> =>
  (
    await reading(
      database.one(
        sql.type(z.object({ settled_before: z.bigint() }))`select settled_before from ledger.reconciliation where scope = 'recent'`,
      ),
    )
  ).settled_before

/**
 * Keeps what was found for whoever asks after it. What recently did not agree is looked at again the next time, until it does or
 * the whole has been gone through.
 */
export async function keepReport(database: Database, scope: Scope, { discrepancies, settledBefore }: Reconciled, now: Date): Promise<void> {
  const report = JSON.stringify(discrepancies)
  const time = sql.timestamp(now)
  await transact(database, async (tx) => {
    await tx.query(sql.unsafe`
      update ledger.reconciliation set finished_at = ${time}, discrepancies = ${report}::jsonb,
        settled_before = case when ${scope === 'recent' && discrepancies.length > 0} then settled_before else ${settledBefore} end
      where scope = ${scope}`)
    if (scope === 'whole')
      await tx.query(sql.unsafe`
        update ledger.reconciliation set discrepancies = '[]', settled_before = greatest(settled_before, ${settledBefore}) where scope = 'recent'`)
  })
}

/** What the last whole and the last recent reconciliation found. */
export async function keptDiscrepancies(database: Database): Promise<readonly Pick<Discrepancy, 'name' | 'subject' | 'detail'>[]> {
  const rows = await reading(
    database.any(sql.type(z.object({ discrepancies: z.custom<readonly Discrepancy[]>(Array.isArray) }))`
      select discrepancies from ledger.reconciliation order by scope`),
  )
  const all = rows.flatMap(({ discrepancies }) => discrepancies)
  return [...new Map(all.map((one) => [`${one.name} ${one.subject}`, one])).values()]
}
