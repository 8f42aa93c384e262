import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from '@bankside/service-kit/postgres'
import { formatMoney, type Money, parseAmount } from '../money.ts'
import { openTestBank, type TestBank } from '../payments/testing/test-bank.ts'
import { reckonExchange } from './exchange.ts'
import type { Rate } from './rate.ts'
import { randomFrom } from './testing/random.ts'
import { runAmounts } from './testing/run-amounts.ts'

let bank: TestBank
before(async () => {
  bank = await openTestBank()
})
after(() => bank.close())

test('two hundred thousand random amounts of all currencies come out of parse, the database and render as they went in', () =>
  runAmounts(bank.owner, { seed: 7, amounts: 200_000 }))

test('an amount has the digits of its currency, 18 for ether, and is never rounded', () => {
  assert.equal(parseAmount('1.000000000000000001', 'ETH').minor, 1_000_000_000_000_000_001n)
  assert.equal(formatMoney({ minor: 123_456_789_012_345_678_901n, currency: 'ETH' }), '123.456789012345678901')
  for (const [amount, currency] of [
    ['1.005', 'GBP'],
    ['0.1', 'JPY'],
    ['-1', 'GBP'],
    ['1e3', 'GBP'],
    ['', 'GBP'],
    ['1,0', 'GBP'],
    ['1', 'XXX'],
    ['9'.repeat(37), 'GBP'],
    ['١', 'GBP'],
  ] as const)
    assert.throws(() => parseAmount(amount, currency), { name: 'Refusal' }, `${amount} ${currency}`)
})

const quotedAt = new Date('2026-03-02T12:00:00.000Z')
const rate = (base: Money['currency'], quote: Money['currency'], units: bigint, scale: number): Rate => ({
  base,
  quote,
  units,
  scale,
  source: 'test',
  quotedAt,
})

test('an exchange is rounded down, and what buys nothing is its residue', () => {
  const pounds = (minor: bigint): Money => ({ minor, currency: 'GBP' })
  assert.deepEqual(reckonExchange(pounds(100n), rate('GBP', 'EUR', 11_511n, 4)), {
    bought: { minor: 115n, currency: 'EUR' },
    priced: pounds(100n),
    residue: pounds(0n),
  })
  assert.deepEqual(reckonExchange(pounds(100n), rate('GBP', 'JPY', 1_934n, 1)), {
    bought: { minor: 193n, currency: 'JPY' },
    priced: pounds(100n),
    residue: pounds(0n),
  })
  const ether: Money = { minor: 1_234_567_890_123_456_789n, currency: 'ETH' }
  const sold = reckonExchange(ether, rate('ETH', 'GBP', 250_017n, 2))
  assert.equal(sold.bought.minor, 308_662n)
  assert.equal(sold.priced.minor + sold.residue.minor, ether.minor)
  assert.throws(() => reckonExchange(pounds(1n), rate('GBP', 'JPY', 1n, 0)), /buys nothing/)
})

test('at any rate the bank gives no more than was paid for, and the residue buys nothing: as the database reckons it', async () => {
  const random = randomFrom(11)
  const currencies = ['GBP', 'JPY', 'KWD', 'BTC', 'ETH'] as const
  for (let index = 0; index < 2_000; index++) {
    const [base, quote] = [random.pick(currencies), random.pick(currencies)]
    const scale = random.below(19)
    const given = rate(base, quote, random.amount(10n ** BigInt(scale + 2)), scale)
    const sold: Money = { minor: random.amount(10n ** 24n), currency: base }
    const worth = (minor: bigint) => (minor * given.units * 10n ** BigInt(digits[quote])) / 10n ** BigInt(scale + digits[base])
    if (worth(sold.minor) === 0n) continue
    const { bought, priced, residue } = reckonExchange(sold, given)
    assert.equal(bought.minor, worth(sold.minor))
    assert.equal(worth(priced.minor), bought.minor)
    assert.ok(worth(priced.minor - 1n) < bought.minor && residue.minor >= 0n && priced.minor + residue.minor === sold.minor)
    if (index % 20 === 0)
      assert.equal(
        await bank.owner.oneFirst(
          sql.unsafe`select ledger.worth(${sold.minor}, ${given.units}, ${scale}, ${digits[base]}, ${digits[quote]})`,
        ),
        bought.minor,
      )
  }
})
const digits = { GBP: 2, JPY: 0, KWD: 3, BTC: 8, ETH: 18 }
