import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
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

/** Answers when it is told to, the first first. */
function heldCalls() {
  const calls: { readonly questions: readonly number[]; readonly answer: () => void }[] = []
  const ask = (questions: readonly number[]) =>
    new Promise<readonly number[]>((resolve) => void calls.push({ questions, answer: () => resolve(questions) }))
  return { ask, calls, sizes: () => calls.map(({ questions }) => questions.length) }
}

test('enough go without waiting for the end of the turn, and beside a call that runs', async () => {
  const { ask: call, calls, sizes } = heldCalls()
  const ask = gather(call, { atMost: 100, callsAtOnce: 2, enough: 4 })
  const answers = Promise.all(Array.from({ length: 11 }, (_, index) => ask(index)))
  assert.deepEqual(sizes(), [4, 4])
  await turn()
  assert.deepEqual(sizes(), [4, 4], 'no more than two at once')
  calls[0]?.answer()
  await turn()
  assert.deepEqual(sizes(), [4, 4], 'fewer than enough wait for the call that still runs')
  calls[1]?.answer()
  await turn()
  assert.deepEqual(sizes(), [4, 4, 3])
  calls[2]?.answer()
  assert.deepEqual(await answers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
})

test('fewer than enough go at the end of the turn; those that come while they are asked go before anybody is answered', async () => {
  const { ask: call, calls, sizes } = heldCalls()
  const ask = gather(call, { atMost: 100, callsAtOnce: 2, enough: 4 })
  const told: string[] = []
  const first = ask(1).then(() => told.push(`first, after ${calls.length} calls`))
  assert.deepEqual(sizes(), [])
  await turn()
  assert.deepEqual(sizes(), [1])
  const later = [ask(2), ask(3)]
  await turn()
  assert.deepEqual(sizes(), [1])
  calls[0]?.answer()
  await first
  assert.deepEqual(told, ['first, after 2 calls'])
  calls[1]?.answer()
  assert.deepEqual(await Promise.all(later), [2, 3])
})

test('after a call that failed those that waited go, and so does whatever comes', async () => {
  const ask = gather(
    async (questions: readonly number[]) => {
      await turn()
      if (questions.includes(1)) throw new Error('lost')
      return questions
    },
    { atMost: 100, callsAtOnce: 1, enough: 2 },
  )
  const outcomes = await Promise.allSettled([1, 2, 3].map(ask))
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected', 'fulfilled'],
  )
  assert.equal(await ask(4), 4)
})
