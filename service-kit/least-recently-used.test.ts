import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { leastRecentlyUsed } from './least-recently-used.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as (how: { readonly type: 'major' | 'minor' }) => void

const limit = 10

test('the last half of what it may hold is known, however it came to be asked for', () => {
  const known = leastRecentlyUsed<number, string>(limit)
  const lately: number[] = []
  // Some of them anew, some again.
  for (let step = 0; step < 2_000; step++) {
    const key = step % 3 === 0 ? step : (lately[(step * 7) % lately.length] ?? step)
    if (known.get(key) === undefined) known.set(key, `value of ${key}`)
    lately.unshift(...lately.splice(0).filter((one) => one !== key))
    lately.unshift(key)
    lately.splice(limit / 2)
    for (const one of lately.toReversed()) assert.equal(known.get(one), `value of ${one}`, `step ${step}`)
  }
})

test('it never holds more than its limit, and forgets what was not asked for', () => {
  for (const limit of [1, 2, 3, 10, 101]) {
    const known = leastRecentlyUsed<number, number>(limit)
    const count = 10 * limit
    for (let key = 0; key < count; key++) known.set(key, key)
    assert.equal(known.get(0), undefined)
    // Looked at from the newest on, so that what is asked for puts nothing out that is still to be looked at.
    let held = 0
    for (let key = count - 1; key >= 0; key--) if (known.get(key) === key) held++
    assert.ok(held >= limit / 2 - 1 && held <= limit, `${held} of ${limit}`)
  }
})

test('what is set anew is as it was set last, and nothing is left after it is cleared', () => {
  const known = leastRecentlyUsed<string, number>(limit)
  for (let round = 1; round < 30; round++) {
    known.set('same', round)
    known.set(`other ${round}`, round)
    assert.deepEqual([known.get('same'), known.get(`other ${round}`)], [round, round])
  }
  known.clear()
  assert.deepEqual([known.get('same'), known.get('other 29')], [undefined, undefined])
})

test('what is asked for again and again leaves nothing for full collections', () => {
  const known = leastRecentlyUsed<string, object>(limit)
  for (const name of ['one', 'other']) known.set(name, {})
  collect({ type: 'major' })
  const before = process.memoryUsage().heapUsed
  for (let times = 0; times < 200_000; times++) {
    known.get(times % 2 === 0 ? 'one' : 'other')
    if (times % 20_000 === 0) collect({ type: 'minor' })
  }
  for (let times = 0; times < 3; times++) collect({ type: 'minor' })
  assert.ok(process.memoryUsage().heapUsed - before < 1_000_000)
})
