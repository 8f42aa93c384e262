import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openPrepared, type Prepared } from './prepared.ts'
import { createTestDatabase } from './test-database.ts'

let testDatabase: Awaited<ReturnType<typeof createTestDatabase>>
let prepared: Prepared

before(async () => {
  testDatabase = await createTestDatabase()
  prepared = openPrepared(testDatabase.ownerUrl, { maxConnections: 1 })
})
after(async () => {
  await prepared.end()
  await testDatabase.drop()
})

const text = `select $1::int8 as whole, $2::timestamptz as time, $3::text as nothing, array[$1::int8] as list, true as yes, '{"a":1}'::jsonb as json`

test('a statement gives the same rows when it is described and when it is not any more', async () => {
  const at = new Date('2026-03-02T12:00:00.000Z')
  const ask = (whole: number) => prepared.query('described', text, [whole, at, null])
  const expected = (whole: bigint) => [{ whole, time: at, nothing: null, list: [whole], yes: true, json: { a: 1 } }]
  assert.deepEqual(await ask(1), expected(1n))
  assert.deepEqual(await Promise.all([2, 3, 4].map(ask)), [2n, 3n, 4n].map(expected))
})

test('several that are asked before the first answer, none, and many rows', async () => {
  const many = (count: number) => prepared.query<{ n: number }>('many', 'select n::int4 as n from generate_series(1, $1::int4) n', [count])
  const answers = await Promise.all([3, 0, 2].map(many))
  assert.deepEqual(
    answers.map((rows) => rows.map(({ n }) => n)),
    [[1, 2, 3], [], [1, 2]],
  )
  assert.deepEqual(await many(0), [])
  assert.equal((await many(1_000)).length, 1_000)
})

test('what gives no rows, and what fails, leave the connection as good as before', async () => {
  await prepared.query(undefined, 'create table kept (n int primary key)')
  const insert = (n: number) => prepared.query('insert', 'insert into kept values ($1)', [n])
  assert.deepEqual([await insert(1), await insert(2)], [[], []])
  const fails = await Promise.allSettled([insert(3), insert(1), insert(4), prepared.query('divide', 'select 1 / $1::int as n', [0])])
  assert.deepEqual(
    fails.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'rejected'],
  )
  assert.deepEqual(await prepared.query('divide', 'select 1 / $1::int as n', [1]), [{ n: 1 }])
  assert.equal((await prepared.query('count', 'select count(*) as n from kept where n > $1', [0]))[0]?.['n' as never], 4n)
})

test('a statement whose rows would be others is an error of PostgreSQL, never a row read wrongly', async () => {
  await prepared.query(undefined, 'create table changing (a int4, b text)')
  await prepared.query(undefined, `insert into changing values (1, 'x')`)
  const ask = () => prepared.query('changing', 'select * from changing where a > $1', [0])
  assert.deepEqual([await ask(), await ask()], [[{ a: 1, b: 'x' }], [{ a: 1, b: 'x' }]])
  await prepared.query(undefined, 'alter table changing drop column b, add column c int8 default 7')
  await assert.rejects(ask(), /cached plan must not change result type/)
})

test('a time arrives as what it is, in whichever year', async () => {
  const times = [
    '-000043-03-15T12:00:00Z',
    '0099-12-31T23:59:59.999Z',
    '1000-01-01T00:00:00Z',
    '9999-12-31T23:59:59.999Z',
    '+010000-01-01T00:00:00Z',
  ]
  const text = 'select (extract(epoch from $1::timestamptz) * 1000)::int8 as ms'
  for (const time of [...times, '1969-12-31T23:59:59.999Z', '2024-02-29T00:00:00.001Z'].map((one) => new Date(one)))
    assert.deepEqual(await prepared.query('time', text, [time]), [{ ms: BigInt(time.getTime()) }], String(time))
})

test('a list arrives as what it is, whatever is in it', async () => {
  const texts = ['', 'plain', 'NULL', 'null', '"', '\\', '\\"', 'a,b', '{}', ' ', 'é€😀', '\n', null]
  assert.deepEqual(await prepared.query('texts', 'select $1::text[] as list', [texts]), [{ list: texts }])
  assert.deepEqual(await prepared.query('texts', 'select $1::text[] as list', [[]]), [{ list: [] }])
  const bytes = [Buffer.from([0, 0x22, 0x5c, 0xff]), Buffer.alloc(0), null]
  const hex = "select array(select encode(one, 'hex') from unnest($1::bytea[]) as one) as list"
  assert.deepEqual(await prepared.query('bytes', hex, [bytes]), [{ list: ['00225cff', '', null] }])
  const times = [new Date('0099-12-31T23:59:59.999Z'), new Date('2024-02-29T00:00:00.001Z'), new Date('+010000-01-01T00:00:00Z'), null]
  const ms = 'select array(select (extract(epoch from one) * 1000)::int8::text from unnest($1::timestamptz[]) as one) as list'
  for (const list of [times, times.slice(1, 2)])
    assert.deepEqual(await prepared.query('times', ms, [list]), [{ list: list.map((time) => time && String(time.getTime())) }])
  assert.deepEqual(await prepared.query('numbers', 'select $1::int8[]::text[] as list', [[1, 2n, null]]), [{ list: ['1', '2', null] }])
  assert.deepEqual(await prepared.query('nested', 'select ($1::text[])[2][1] as one', [[['a'], ['b"']]]), [{ one: 'b"' }])
})
