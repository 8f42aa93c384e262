import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rateLimit } from './rate-limit.ts'

function limited(perSecond: number, burst: number, atMost?: number) {
  const clock = { ms: 1_000 }
  return { clock, take: rateLimit({ perSecond, burst }, () => clock.ms, atMost) }
}

test('a burst passes, then one at a time as the rate allows', () => {
  const { clock, take } = limited(2, 3)
  assert.deepEqual(
    [1, 2, 3, 4].map(() => take('one')),
    [0, 0, 0, 1],
  )
  clock.ms += 500
  assert.deepEqual([take('one'), take('one')], [0, 1])
  clock.ms += 60_000
  assert.deepEqual(
    [1, 2, 3, 4].map(() => take('one')),
    [0, 0, 0, 1],
  )
})

test('who is refused does not wait longer for asking again', () => {
  const { clock, take } = limited(1, 1)
  take('one')
  for (let time = 0; time < 50; time++) assert.equal(take('one'), 1)
  clock.ms += 1_000
  assert.equal(take('one'), 0)
})

test('one name takes nothing from another', () => {
  const { take } = limited(1, 1)
  assert.deepEqual([take('one'), take('two'), take('one'), take('two')], [0, 0, 1, 1])
})

test('names are forgotten before memory is full, the oldest first', () => {
  const { take } = limited(1, 1, 2)
  for (const name of ['one', 'two', 'three']) assert.equal(take(name), 0)
  assert.deepEqual([take('three'), take('two'), take('one')], [1, 1, 0])
})
