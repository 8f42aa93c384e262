import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { gatheredRows } from './gathered-rows.ts'
import { type Database, openDatabase, outsideTransaction, sql, type Transaction, transact, withValues, z } from './postgres.ts'
import { createTestDatabase, type TestDatabase } from './test-database.ts'

let testDatabase: TestDatabase
let database: Database
let statements = 0

before(async () => {
  testDatabase = await createTestDatabase()
  database = await openDatabase(testDatabase.ownerUrl)
  await database.query(sql.unsafe`create table thing (id int primary key, name text)`)
  await database.query(sql.unsafe`insert into thing select n, 'thing ' || n from generate_series(1, 300) n where n % 7 <> 0`)
})
after(async () => {
  await database?.end()
  await testDatabase?.drop()
})

const query = sql.type(z.object({ place: z.number(), name: z.string() }))`
  select asked.place::int as place, thing.name from unnest(${null}::int[]) with ordinality as asked (id, place) join thing using (id)`
const find = gatheredRows((tx: Transaction, ids: readonly number[]) => {
  statements++
  return tx.any(withValues(query, [ids]))
})
const nameOf = (tx: Transaction, id: number) => find(tx, id).then((row) => row?.name)

test('what is asked in one turn goes together; each has its own answer, and what is not there is nobody else’s', async () => {
  statements = 0
  const ids = Array.from({ length: 250 }, (_, index) => 1 + ((index * 37) % 300))
  const names = await Promise.all(ids.map((id) => outsideTransaction(database, (tx) => nameOf(tx, id))))
  assert.deepEqual(
    names,
    ids.map((id) => (id % 7 === 0 ? undefined : `thing ${id}`)),
  )
  assert.equal(statements, 5, 'two of eight at once, then as many as one statement holds')
})

test('what was asked twice is answered twice', async () => {
  assert.deepEqual(await outsideTransaction(database, (tx) => Promise.all([nameOf(tx, 3), nameOf(tx, 3)])), ['thing 3', 'thing 3'])
})

test('a question is asked after it came: a change that is committed is seen by the next', async () => {
  assert.equal(await outsideTransaction(database, (tx) => nameOf(tx, 1)), 'thing 1')
  await database.query(sql.unsafe`update thing set name = 'another' where id = 1`)
  assert.equal(await outsideTransaction(database, (tx) => nameOf(tx, 1)), 'another')
})

test('in a transaction a question sees what the transaction did, and nobody outside does', async () => {
  await assert.rejects(
    transact(database, async (tx) => {
      await tx.query(sql.unsafe`update thing set name = 'mine' where id = 2`)
      const outside = outsideTransaction(database, (other) => nameOf(other, 2))
      assert.deepEqual(await Promise.all([nameOf(tx, 2), outside]), ['mine', 'thing 2'])
      throw new Error('rolled back')
    }),
    /rolled back/,
  )
})

test('two rows for one question are a fault', async () => {
  const twice = gatheredRows((tx: Transaction, ids: readonly number[]) =>
    tx.any(sql.type(z.object({ place: z.number() }))`select 1 as place from generate_series(1, ${ids.length + 1})`),
  )
  await assert.rejects(
    outsideTransaction(database, (tx) => twice(tx, 1)),
    /more than one row/,
  )
})
