import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onceForEach, remembered } from './remembered.ts'

test('what follows from a text is made once for those asked for lately, and anew for those forgotten or too long', () => {
  const made: string[] = []
  const upper = remembered(
    (text) => {
      made.push(text)
      return text.toUpperCase()
    },
    { atMost: 4, lengthAtMost: 3 },
  )
  assert.deepEqual(['a', 'b', 'a', 'c', 'a', 'b', 'long', 'long', 'b'].map(upper), ['A', 'B', 'A', 'C', 'A', 'B', 'LONG', 'LONG', 'B'])
  assert.deepEqual(made, ['a', 'b', 'c', 'b', 'long', 'long'])
})

test('what belongs to an object is made once for it, and for no other that is like it', () => {
  let made = 0
  const numberOf = onceForEach((_of: object) => ++made)
  const [one, other] = [{}, {}]
  assert.deepEqual([one, other, one, other].map(numberOf), [1, 2, 1, 2])
})
