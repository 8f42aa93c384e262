import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openPrepared, type Prepared } from './prepared.ts'
import { createTestDatabase, type TestDatabase } from './test-database.ts'

let database: TestDatabase
let prepared: Prepared
before(async () => {
  database = await createTestDatabase()
  prepared = openPrepared(database.ownerUrl, { maxConnections: 1 })
})
after(async () => {
  await prepared.end()
  await database.drop()
})

/** As text, when it is asked for the first time, and in binary, from then on. */
async function bothWays(name: string, expression: string, values: readonly unknown[] = []): Promise<unknown> {
  const ask = () => prepared.query<{ value: unknown }>(name, `select ${expression} as value`, values)
  const [[asText], [asBinary]] = [await ask(), await ask()]
  assert.deepEqual(asBinary, asText, name)
  return asBinary?.value
}

test('every value is the same in binary as it is as text, whatever its type', async () => {
  const wholes = ['0', '1', '-1', '9', '10000', '-10000', '99999999', '100000000', '123456789012', '1234567890123', '-99999999999999999999']
  const large = ['9'.repeat(38), `-${'9'.repeat(38)}`, `1${'0'.repeat(37)}`, `10000000100000001`, `5${'0'.repeat(12)}7`]
  for (const text of [...wholes, ...large]) assert.equal(await bothWays(`numeric ${text}`, '$1::numeric(38,0)', [text]), BigInt(text))
  for (const text of [
    ...wholes.slice(0, 10),
    '9007199254740993',
    '9223372036854775807',
    '-9223372036854775808',
    '-9007199254740993',
    '4294967296',
  ])
    assert.equal(await bothWays(`int8 ${text}`, '$1::int8', [text]), BigInt(text))
  for (const text of [
    '2026-11-28T12:34:56.789Z',
    '1969-12-31T23:59:59.999Z',
    '1999-12-31T23:59:59.999Z',
    '2000-01-01T00:00:00.000Z',
    '9999-12-31T23:59:59.999Z',
    '0101-01-01T00:00:00.000Z',
  ])
    assert.deepEqual(await bothWays(`instant ${text}`, '$1::timestamptz', [text]), new Date(text))
  assert.deepEqual(await bothWays('microseconds', `timestamptz '2026-11-28 12:00:00.123456+01'`), new Date('2026-11-28T11:00:00.123Z'))
  assert.deepEqual(
    await bothWays('microseconds before 2000', `timestamptz '1998-11-28 12:00:00.123999+00'`),
    new Date('1998-11-28T12:00:00.123Z'),
  )
  assert.ok(Number.isNaN(((await bothWays('infinity', `timestamptz 'infinity'`)) as Date).getTime()))
  for (const day of ['2026-11-28', '1900-01-01', '2000-02-29']) assert.equal(await bothWays(`date ${day}`, '$1::date', [day]), day)
  for (const [name, expression, value] of [
    ['small', '(-7)::int2', -7],
    ['four', '2147483647::int4', 2147483647],
    ['yes', 'true', true],
    ['no', 'false', false],
    ['none', 'null::numeric', null],
    ['text', `'Zoë 🏦 ', "x"'::text`.replace('\', "', "'', \""), `Zoë 🏦 ', "x"`],
    ['nothing', `''::text`, ''],
    ['varchar', `'v'::varchar(3)`, 'v'],
    ['json', `'{"a": [1, null, "é"]}'::json`, { a: [1, null, 'é'] }],
    ['jsonb', `'[{"b": 1.5}]'::jsonb`, [{ b: 1.5 }]],
    ['bytes', `'\\x00ff10'::bytea`, Buffer.from([0, 255, 16])],
    ['texts', `array['a', null, '', 'NULL', 'b,"c"', 'ü']::text[]`, ['a', null, '', 'NULL', 'b,"c"', 'ü']],
    ['no texts', `'{}'::text[]`, []],
    ['wholes', `array[1, 2]::numeric[]`, [1n, 2n]],
    ['uuid', `'6f1c2b3a-0000-4000-8000-000000000001'::uuid`, '6f1c2b3a-0000-4000-8000-000000000001'],
  ] as const)
    assert.deepEqual(await bothWays(name, expression), value, name)
})

test('a number that is not whole fails its statement, and nothing else', async () => {
  const ask = (value: string) => prepared.query('fraction', 'select $1::numeric as value', [value])
  assert.deepEqual(await ask('1'), [{ value: 1n }])
  for (const value of ['1.5', '0.0001', 'NaN']) await assert.rejects(ask(value), SyntaxError)
  await assert.rejects(prepared.query('fraction as text', 'select 2.5 as value'), SyntaxError)
  assert.deepEqual(await Promise.all(['1.00', '-2'].map(ask)), [[{ value: 1n }], [{ value: -2n }]])
})

test('rows of any size and number come whole, however the network cuts them', async () => {
  const ask = () =>
    prepared.query<{ n: bigint; text: string }>(
      'large',
      `select n::int8 as n, repeat(chr(97 + n::int % 26), (n * 37 % 5000)::int) as text from generate_series(1, $1::int) n`,
      [1_000],
    )
  const expected = Array.from({ length: 1_000 }, (_, index) => {
    const n = index + 1
    return { n: BigInt(n), text: String.fromCharCode(97 + (n % 26)).repeat((n * 37) % 5_000) }
  })
  const answers = await Promise.all([ask(), ask(), ask()])
  for (const answer of answers) assert.deepEqual(answer, expected)
  assert.deepEqual(await ask(), expected)
  const [{ text } = { text: '' }] = await prepared.query<{ text: string }>('one large', `select repeat('é', $1::int) as text`, [2_000_000])
  assert.equal(text.length, 2_000_000)
})
