import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HistoryDatabase, openHistory } from './history.ts'
import { createMetrics } from './metrics.ts'
import { type Database, outsideTransaction, sql, type Transaction, transact } from './postgres.ts'
import { createTestDatabase } from './test-database.ts'

/** Never called: the compiler is what is tested. An error that does not come is one itself. */
export function whatDoesNotCompile(history: HistoryDatabase, tx: Transaction, decide: (tx: Transaction) => unknown): void {
  // @ts-expect-error what decides takes a transaction
  decide(history)
  // @ts-expect-error no transaction begins there
  void transact(history, async () => {})
  // @ts-expect-error and nothing that stands alone either, which may be a change
  void outsideTransaction(history, async () => {})
  // @ts-expect-error a database of decisions it is not
  const database: Database = history
  // @ts-expect-error nor is anything else that reads taken for it
  const another: HistoryDatabase = { any: tx.any, end: async () => {} }
  decide(tx)
  void [database, another]
}

test('without a replica, history is read from the database, on connections of its own', async () => {
  const database = await createTestDatabase()
  const history = openHistory({ databaseUrl: database.resourceApiUrl, registry: createMetrics('test') })
  assert.deepEqual(await history.any(sql.unsafe`select 1 as one where true = ${true}`), [{ one: 1 }])
  await history.end()
  await database.drop()
})
