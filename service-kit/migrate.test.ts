import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import pg from 'pg'
import { migrate } from './migrate.ts'
import { createTestDatabase, type TestDatabase } from './test-database.ts'

let database: TestDatabase
let folder: string

beforeEach(async () => {
  database = await createTestDatabase()
  await query('drop table public.schema_migration')
  folder = mkdtempSync(join(tmpdir(), 'bankside migrations '))
  write('0001_first.sql', 'create table public.one (n int); create function public.two() returns int language sql as $$ select 2; $$;')
})
afterEach(async () => {
  rmSync(folder, { recursive: true, force: true })
  await database.drop()
})

const write = (name: string, text: string) => writeFileSync(join(folder, name), text)

async function query(text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(database.ownerUrl)
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

test('a migration that was changed after it was applied is refused, and so is a database that is newer than this version', async () => {
  await migrate(database.ownerUrl, folder)
  write('0001_first.sql', 'create table public.other (n int);')
  await assert.rejects(migrate(database.ownerUrl, folder), /migration 0001_first\.sql was changed after it was applied/)
  rmSync(join(folder, '0001_first.sql'))
  await assert.rejects(migrate(database.ownerUrl, folder), /has migration 0001_first\.sql, which this version does not know/)
})

test('a migration that fails leaves nothing, names its file, and runs when it is mended', async () => {
  write('0002_second.sql', 'create table public.half (n int); select no_such_column;')
  await assert.rejects(migrate(database.ownerUrl, folder), /migration 0002_second\.sql: .*no_such_column/)
  assert.deepEqual(await query(`select name from public.schema_migration`), [{ name: '0001_first.sql' }])
  assert.deepEqual(await query(`select to_regclass('public.half') as half`), [{ half: null }])
  write('0002_second.sql', 'create table public.half (n int);')
  assert.deepEqual(await migrate(database.ownerUrl, folder), ['0002_second.sql'])
})

test('processes that start together all succeed, and each file is applied once', async () => {
  write('0002_second.sql', 'insert into public.one values (1);')
  write('readme.txt', 'not a migration')
  const applied = await Promise.all([1, 2, 3].map(() => migrate(database.ownerUrl, folder)))
  assert.deepEqual(applied.flat().toSorted(), ['0001_first.sql', '0002_second.sql'])
  assert.deepEqual(await query('select count(*)::int as n from public.one'), [{ n: 1 }])
})

test('a lock that is not to be had soon is given up for a while: nobody waits behind the migration, and it is made in the end', async () => {
  await migrate(database.ownerUrl, folder)
  const [slow, other] = [new pg.Client(database.ownerUrl), new pg.Client(database.ownerUrl)]
  await Promise.all([slow.connect(), other.connect()])
  await slow.query('begin')
  await slow.query('insert into public.one values (1)')
  write('0002_second.sql', 'alter table public.one add column m int;')
  const migrating = migrate(database.ownerUrl, folder, { lockTimeoutMs: 50 })
  // Each fails should it wait ten times as long as the migration may.
  await other.query('set lock_timeout = 500')
  for (let n = 0; n < 20; n++) await other.query('insert into public.one values ($1)', [n])
  await slow.query('commit')
  assert.deepEqual(await migrating, ['0002_second.sql'])
  await Promise.all([slow.end(), other.end()])
  assert.deepEqual(await query('select count(*)::int as n, count(m)::int as m from public.one'), [{ n: 21, m: 0 }])
})

test('outside a transaction: an index that is made concurrently, also when several processes start together', async () => {
  write(
    '0002_second.sql',
    '-- outside a transaction\ndrop index concurrently if exists public.one_n;\n-- then\ncreate index concurrently one_n on public.one (n);\n',
  )
  const applied = await Promise.all([1, 2, 3].map(() => migrate(database.ownerUrl, folder)))
  assert.deepEqual(applied.flat().toSorted(), ['0001_first.sql', '0002_second.sql'])
  assert.deepEqual(await query(`select indisvalid as valid from pg_index where indexrelid = 'public.one_n'::regclass`), [{ valid: true }])
})

test('outside a transaction: what failed half way is repeated from its beginning', async () => {
  const parts = [
    'create table if not exists public.half (n int)',
    'insert into public.half values (1)',
    'alter table public.half add check (n < 1) not valid',
    'select no_such_column',
  ]
  write('0002_second.sql', `-- outside a transaction\n${parts.join(';\n-- then\n')}`)
  await assert.rejects(migrate(database.ownerUrl, folder), /migration 0002_second\.sql: .*no_such_column/)
  assert.deepEqual(await query('select n from public.half'), [{ n: 1 }])
  assert.deepEqual(await query(`select name from public.schema_migration`), [{ name: '0001_first.sql' }])
  write('0002_second.sql', `-- outside a transaction\n${parts[0]};\n-- then\ndelete from public.half`)
  assert.deepEqual(await migrate(database.ownerUrl, folder), ['0002_second.sql'])
  assert.deepEqual(await query('select n from public.half'), [])
})

test('an index that was left invalid is made again, whatever a migration takes for made; one that cannot be made stops it by its name', async () => {
  const second = '-- outside a transaction\ncreate unique index concurrently if not exists one_once on public.one (n);\n'
  await migrate(database.ownerUrl, folder)
  await query('insert into public.one values (1), (1)')
  write('0002_second.sql', second)
  await assert.rejects(migrate(database.ownerUrl, folder), /migration 0002_second\.sql: .*one_once/)
  // This time it is there, and says nothing.
  await assert.rejects(
    migrate(database.ownerUrl, folder),
    /the index public\.one_once is invalid, and cannot be made: could not create unique index/,
  )
  await query('delete from public.one where ctid = (select min(ctid) from public.one)')
  assert.deepEqual(await migrate(database.ownerUrl, folder), [])
  assert.deepEqual(
    await query(`select relname, indisvalid from pg_index join pg_class c on c.oid = indexrelid where indrelid = 'public.one'::regclass`),
    [{ relname: 'one_once', indisvalid: true }],
  )
})
