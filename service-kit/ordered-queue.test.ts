import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type OrderedQueue, openOrderedQueue, type Queued } from './ordered-queue.ts'

type Item = Queued & { readonly name: string }

/** `a!` is held alone, `a` shared, `a+` jointly. */
const item = (name: string, holds: string): Item => {
  const names = holds.split(' ')
  const ending = (end: string) => names.flatMap((held) => (held.endsWith(end) ? [held.slice(0, -1)] : []))
  return { name, alone: ending('!'), joint: ending('+'), shared: names.filter((held) => /\w$/.test(held)), sinceMs: 0 }
}
const queueOf = (holds: Record<string, string>) => {
  const queue = openOrderedQueue<Item>()
  for (const [name, names] of Object.entries(holds)) queue.add(item(name, names))
  return queue
}
const names = (items: readonly Item[]) => items.map(({ name }) => name).join('')
const takeAll = (queue: OrderedQueue<Item>) => queue.take(100)

test('of what is shared, one call holds several and no other call any; of what is held alone, one', () => {
  const queue = queueOf({ a: 'x y', b: 'y k!', c: 'k!', d: 'z' })
  const first = takeAll(queue)
  assert.equal(names(first), 'abd')
  assert.equal(names(takeAll(queue)), '')
  queue.done(first)
  assert.equal(names(takeAll(queue)), 'c')
})

test('nothing passes what waits for something that both touch', () => {
  const queue = queueOf({ a: 'x' })
  const first = takeAll(queue)
  for (const [name, held] of Object.entries({ b: 'x y', c: 'y z+', d: 'z+', e: 'z' })) queue.add(item(name, held))
  // c waits behind b; d may pass it, as both hold z jointly; e may not.
  const second = takeAll(queue)
  assert.equal(names(second), 'd')
  queue.done(first)
  const third = takeAll(queue)
  assert.equal(names(third), 'b', 'z is held by another call')
  queue.done(second)
  assert.equal(names(takeAll(queue)), '')
  queue.done(third)
  assert.equal(names(takeAll(queue)), 'ce')
})

test('what is held jointly is held by several calls at a time, and by none beside one that holds it otherwise', () => {
  const queue = queueOf({ a: 'x+' })
  const first = takeAll(queue)
  for (const [name, held] of Object.entries({ b: 'x+', c: 'x', d: 'x+' })) queue.add(item(name, held))
  const second = takeAll(queue)
  assert.equal(names(second), 'b', 'd came after c, which waits')
  queue.done(first)
  assert.equal(names(takeAll(queue)), '')
  queue.done(second)
  const third = takeAll(queue)
  assert.equal(names(third), 'cd', 'one call does them in their order')
  queue.add(item('e', 'x+'))
  assert.equal(names(takeAll(queue)), '', 'x is spent under way')
  queue.done(third)
  assert.equal(names(takeAll(queue)), 'e')
  assert.equal(queue.waiting(), 0)
  assert.equal(queue.underWay(), 1)
})

test('what is held jointly elsewhere lets others go first, unless most that come hold it', () => {
  const queue = queueOf({ a: 'x+' })
  const first = takeAll(queue)
  for (const [name, held] of Object.entries({ b: 'x+', c: 'y+', d: 'z', e: 'x+ w' })) queue.add(item(name, held))
  const jointly = takeAll(queue)
  assert.equal(names(jointly), 'bcde', 'two of four hold x')
  for (const [name, held] of Object.entries({ f: 'x+ v', g: 'u', h: 'v', i: 't' })) queue.add(item(name, held))
  const apart = takeAll(queue)
  assert.equal(names(apart), 'gi', 'h spends what f does, and came after it')
  for (const items of [first, jointly, apart]) queue.done(items)
  assert.equal(names(takeAll(queue)), 'fh')
})
