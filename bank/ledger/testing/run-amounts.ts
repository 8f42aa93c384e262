import assert from 'node:assert/strict'
import { type Database, sql, z } from '@bankside/service-kit/postgres'
import { minorDigits } from '../../currencies.ts'
import { type Currency, formatMoney, isCurrency, parseAmount } from '../../money.ts'
import { type Random, randomFrom } from './random.ts'

const perQuery = 10_000
const limit = 10n ** 37n - 1n
const currencies = Object.keys(minorDigits).filter(isCurrency)
const sumRow = z.object({ sums: z.array(z.bigint()), minors: z.array(z.bigint()) })

/** Random amounts of all currencies and sizes through parse, the database's arithmetic and render: each must come out exactly. */
export async function runAmounts(
  database: Database,
  { seed, amounts }: { readonly seed: number; readonly amounts: number },
): Promise<void> {
  const random = randomFrom(seed)
  for (let done = 0; done < amounts; done += perQuery) await checkSome(database, random, Math.min(perQuery, amounts - done))
}

async function checkSome(database: Database, random: Random, count: number): Promise<void> {
  const rows = Array.from({ length: count }, () => {
    const currency = random.pick(currencies) as Currency
    const minor = random.amount(limit)
    const text = formatMoney({ minor, currency })
    assert.deepEqual(parseAmount(text, currency), { minor, currency }, text)
    return { text, currency, minor, added: random.amount(limit) }
  })
  const column = (values: readonly (string | bigint | number)[]) => `{${values.join(',')}}`
  const { sums, minors } = await database.one(sql.type(sumRow)`
    select array_agg((minor::numeric(38,0) + added)::numeric(38,0) order by n) as sums,
      array_agg((shown * ledger.ten_to_the(digits))::numeric(38,0) order by n) as minors
    from unnest(${column(rows.map(({ minor }) => minor))}::numeric[], ${column(rows.map(({ added }) => added))}::numeric[],
      ${column(rows.map(({ text }) => text))}::numeric[], ${column(rows.map(({ currency }) => minorDigits[currency]))}::integer[])
      with ordinality amounts (minor, added, shown, digits, n)`)
  for (const [index, { minor, added, text }] of rows.entries()) {
    assert.equal(sums[index], minor + added, `${minor} + ${added}`)
    assert.equal(minors[index], minor, text)
  }
}
