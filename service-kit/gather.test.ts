import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gather } from './gather.ts'
import { Unavailable } from './refusal.ts'

test('what is asked in one turn goes into one call, and everyone gets the answer to what was asked', async () => {
  const calls: number[] = []
  const ask = gather(
    async (questions: readonly number[]) => {
      calls.push(questions.length)
      return questions.map((question) => question * 2)
    },
    { atMost: 4, callsAtOnce: 2 },
  )
  assert.deepEqual(await Promise.all([1, 2, 3, 4, 5, 6].map(ask)), [2, 4, 6, 8, 10, 12])
  assert.deepEqual(calls, [4, 2])
})

test('more than may run at once waits, and goes together', async () => {
  const calls: number[] = []
  let most = 0
  let running = 0
  const ask = gather(
    async (questions: readonly number[]) => {
      most = Math.max(most, ++running)
      calls.push(questions.length)
      await sleep(5)
      running--
      return questions
    },
    { atMost: 100, callsAtOnce: 1 },
  )
  const first = ask(0)
  await sleep(1)
  const later = [1, 2, 3].map(async (turn) => {
    await sleep(turn / 2)
    return ask(turn)
  })
  await Promise.all([first, ...later])
  assert.equal(most, 1)
  assert.ok(calls.length < 4, String(calls))
})

test('a call that fails fails for those in it, and the next goes on', async () => {
  const ask = gather(
    async (questions: readonly string[]) => {
      if (questions.includes('bad')) throw new Error('refused')
      return questions
    },
    { atMost: 10, callsAtOnce: 1 },
  )
  await Promise.all(['one', 'bad'].map((question) => assert.rejects(ask(question), /refused/)))
  assert.equal(await ask('two'), 'two')
})

test('an answer too few is an error, not somebody else’s answer', async () => {
  const ask = gather(async (questions: readonly string[]) => questions.slice(1), { atMost: 10, callsAtOnce: 1 })
  await assert.rejects(ask('one'), /0 answers to 1/)
})

test('when nothing is answered any more, those who wait are bounded, and the rest is told to come again', async () => {
  const held = Promise.withResolvers<void>()
  const ask = gather(
    async (questions: readonly number[]) => {
      await held.promise
      return questions
    },
    { atMost: 10, callsAtOnce: 1 },
  )
  const asked = Array.from({ length: 2_500 }, (_, index) => ask(index))
  const outcomes = Promise.allSettled(asked)
  held.resolve()
  const refused = (await outcomes).filter((outcome) => outcome.status === 'rejected')
  assert.ok(refused.length >= 1 && refused.length <= 500, String(refused.length))
  for (const { reason } of refused) assert.ok(reason instanceof Unavailable)
})
