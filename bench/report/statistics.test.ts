import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quantile, spread } from './statistics.ts'

test('no values have no quantile', () => assert.throws(() => quantile([], 0.5), RangeError))
test('one value is every quantile', () => assert.deepEqual([quantile([7], 0), quantile([7], 0.99), quantile([7], 1)], [7, 7, 7]))
test('between two values the quantile is interpolated', () => assert.equal(quantile([1, 2, 3, 4], 0.5), 2.5))
test('the spread does not depend on the order of the rounds', () => {
  assert.deepEqual(spread([3, 10, 2]), { median: 3, least: 2, most: 10 })
})
test('the spread leaves the values as they were', () => {
  const values = [3, 1, 2]
  spread(values)
  assert.deepEqual(values, [3, 1, 2])
})
