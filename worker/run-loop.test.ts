import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Loop, runLoop } from './run-loop.ts'

const clock = { now: () => new Date() }

async function watch(work: () => Promise<number>, forMs: number, { idleMs = 40, ...loop }: Partial<Loop> = {}) {
  const stopping = new AbortController()
  const seen: (number | string)[] = []
  const running = runLoop(
    { name: 'test', idleMs, ...loop, work },
    { clock, signal: stopping.signal, onRound: (_loop, done) => seen.push(done), onFault: (_loop, error) => seen.push(String(error)) },
  )
  await sleep(forMs)
  stopping.abort()
  await running
  return seen
}

test('a fault is reported and the loop goes on, more slowly', async () => {
  let rounds = 0
  const seen = await watch(async () => {
    if (++rounds % 2 === 0) throw new Error('lost')
    return 0
  }, 600)
  assert.ok(seen.includes('Error: lost') && seen.length >= 3, String(seen))
  assert.ok(seen.length < 15, `it does not spin: ${seen.length} rounds`)
})

test('while there is work it does not sleep; when there is none it does', async () => {
  let left = 500
  const seen = await watch(async () => (left > 0 ? left-- && 1 : 0), 400)
  assert.equal(seen.filter((done) => done === 1).length, 500)
  assert.ok(seen.filter((done) => done === 0).length < 20, String(seen.length))
})

test('a periodic loop sleeps its whole time after its first round', async () => {
  const rounds = async (loop: Partial<Loop>) => (await watch(async () => 0, 400, { idleMs: 300, ...loop })).length
  assert.ok((await rounds({ isPeriodic: true })) <= 2)
  assert.ok((await rounds({})) >= 3, 'where another looks again soon')
})

test('a loop that gathers waits for more after a round that did little, not after a full one', async () => {
  let left = 500
  const seen = await watch(async () => (left > 0 ? left-- && 5 : 1), 400, { gathers: { atLeast: 5, forMs: 100 } })
  assert.equal(seen.filter((done) => done === 5).length, 500)
  assert.ok(seen.filter((done) => done === 1).length <= 6, String(seen.length))
})

test('a stop waits for the present round and for nothing else', async () => {
  let finished = false
  const startedMs = performance.now()
  await watch(
    async () => {
      await sleep(100)
      finished = true
      return 0
    },
    20,
    { idleMs: 60_000 },
  )
  assert.ok(finished)
  assert.ok(performance.now() - startedMs < 5_000)
})
