import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Path } from '../load/path.ts'
import type { Round } from '../measure/round.ts'
import { summarise } from './summary.ts'
import { quietness, renderTable, verdict } from './table.ts'

const path: Path = {
  name: 'balance',
  consistsOf: 'a read',
  connects: () => ({ origin: '', credentials: { ca: [] } }),
  prepare: () => Promise.reject(new Error('not here')),
}

const names = ['product', 'peer'] as const

const round = (perSecond: number, changes: Partial<Round> = {}): Round => ({
  operations: perSecond,
  elapsedMs: 1000,
  perSecond,
  settledPerSecond: perSecond,
  p50Ms: 2,
  p99Ms: 5,
  mainUs: 100,
  poolUs: 20,
  postgresUs: 80,
  generatorShare: 0.1,
  foreignCores: 0,
  negotiated: 'TLSv1.3',
  ...changes,
})

test('a ratio is taken inside each pair of rounds, so that a slow minute of the machine does not count', () => {
  const { ratio } = summarise({
    path,
    names,
    rounds: [
      [round(400), round(200)],
      [round(40), round(20)],
      [round(300), round(100)],
    ],
  })
  assert.deepEqual(ratio, { median: 2, least: 2, most: 3 })
})

test('CPU counts main thread, pool and PostgreSQL together', () => {
  const { cpuRatio, sides } = summarise({ path, names, rounds: [[round(1), round(1, { postgresUs: 480 })]] })
  assert.equal(sides[0].totalUs, 200)
  assert.equal(cpuRatio?.median, 3)
})

test('where the kernel does not tell, the table has a dash and no ratio', () => {
  const summary = summarise({ path, names, rounds: [[round(2, { mainUs: undefined }), round(1)]] })
  assert.equal(summary.cpuRatio, undefined)
  assert.match(renderTable([summary]), /balance +product +2 +2\.0 +5\.0 +– +20 +80 +– +2\.00x \(2\.00–2\.00\) +–/)
})

test('what settles later has a line of its own', () => {
  const summary = summarise({ path, names, rounds: [[round(200, { settledPerSecond: 100 }), round(100)]] })
  assert.equal(summary.settledRatio?.median, 1)
  assert.match(renderTable([summary]), /until it is posted +product +100/)
})

test('a path below its peer is named, also when only its settling is', () => {
  const slow = summarise({ path, names, rounds: [[round(99), round(100)]] })
  const late = summarise({ path, names, rounds: [[round(200, { settledPerSecond: 99 }), round(100)]] })
  const fast = summarise({ path, names, rounds: [[round(101), round(100)]] })
  assert.deepEqual([verdict([slow]).slower, verdict([late]).slower, verdict([fast]).slower], [['balance'], ['balance'], []])
})

test('a path that is faster than its peer, and not by as much as is wanted, is named and fails nothing', () => {
  const short = summarise({ path: { ...path, leastRatio: 2.5 }, names, rounds: [[round(200), round(100)]] })
  assert.deepEqual([verdict([short]).slower, verdict([short]).short], [[], ['balance']])
  assert.match(verdict([short]).sentence, /Not as fast as wanted: balance/)
})

test('a path that may cost something fails only beyond that', () => {
  const costs = (least: number) => summarise({ path: { ...path, leastRatio: least }, names, rounds: [[round(90), round(100)]] })
  assert.deepEqual([verdict([costs(0.85)]).slower, verdict([costs(0.95)]).slower], [[], ['balance']])
})

test('a machine that was busy with something else is said to have been', () => {
  const busy = summarise({ path, names, rounds: [[round(1, { foreignCores: 0.9 }), round(1, { foreignCores: 0.8 })]] })
  const quiet = summarise({ path, names, rounds: [[round(1), round(1)]] })
  const unknown = summarise({ path, names, rounds: [[round(1, { foreignCores: undefined }), round(1)]] })
  assert.match(quietness([busy, quiet]) ?? '', /up to 0\.9 cores busy/)
  assert.deepEqual([quietness([quiet]), quietness([unknown])], [undefined, undefined])
})
