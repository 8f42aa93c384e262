import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkedRow } from './query-methods.ts'
import { isInstant, isNumber, isText, isTruth, isWhole, listOf, oneOf, orNull, rowShape } from './row-shape.ts'

const shape = rowShape({
  name: isText,
  count: isNumber,
  minor: isWhole,
  open: isTruth,
  at: orNull(isInstant),
  status: oneOf(['open', 'closed']),
  members: listOf(isText),
})
const good = { name: 'a', count: 1, minor: 2n, open: false, at: null, status: 'open', members: ['a', 'b'] }

test('a row of the shape is the row that came', () => {
  for (const row of [good, { ...good, at: new Date(0), members: [] }]) assert.equal(checkedRow(shape, row, 'select'), row)
})

const others: Record<keyof typeof good, readonly unknown[]> = {
  name: [1, null, undefined],
  count: ['1', 1n, null],
  minor: [1, '1', null],
  open: [0, 'false', null],
  at: ['2024-01-01', new Date(Number.NaN), undefined],
  status: ['Open', '', null, 'toString'],
  members: ['a', [1], ['a', null], null, { length: 0 }],
}
for (const [field, values] of Object.entries(others))
  test(`anything else as ${field} is a fault`, () => {
    for (const value of values) assert.throws(() => checkedRow(shape, { ...good, [field]: value }, 'select'), /does not match its schema/)
  })
