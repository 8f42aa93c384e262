import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type KeptWithRequest, keptWithRequest } from './kept-with-request.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as (how: { readonly type: 'major' | 'minor' }) => void

test('what is kept is that request’s alone, until it is deleted', () => {
  const [names, others] = [keptWithRequest<string>('name'), keptWithRequest<string>('name')]
  const [one, another] = [{}, Object.create({ inherited: true })]
  names.set(one, 'first')
  others.set(one, 'second')
  assert.deepEqual([names.get(one), others.get(one), names.get(another)], ['first', 'second', undefined])
  assert.deepEqual([Object.keys(one), JSON.stringify(one)], [[], '{}'])
  names.delete(one)
  assert.deepEqual([names.get(one), others.get(one)], [undefined, 'second'])
})

test('a request that keeps what reaches it is gone with the next small collection', () => {
  assert.ok(keptMegabytes(keptWithRequest('kept')) < 1)
  // Or the collections above show nothing.
  assert.ok(keptMegabytes(new WeakMap()) > 5, 'a WeakMap does as well now')
})

const lasting = Array.from({ length: 2_000 }, () => ({}))

type Kept = { readonly request: object; readonly made: readonly number[] }

/** What small collections leave of requests that nobody has any more. */
function keptMegabytes(kept: Pick<KeptWithRequest<Kept>, 'set'>): number {
  // Old already, as what lasts as long as the process is.
  for (let index = 0; index < 2_000; index++) kept.set(lasting[index] as object, { request: {}, made: [] })
  collect({ type: 'major' })
  const before = process.memoryUsage().heapUsed
  for (let index = 0; index < 1_000; index++) {
    const request = {}
    kept.set(request, { request, made: Array.from({ length: 1_000 }, (_, number) => number) })
  }
  for (let times = 0; times < 3; times++) collect({ type: 'minor' })
  return (process.memoryUsage().heapUsed - before) / 1_000_000
}
