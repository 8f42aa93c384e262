import assert from 'node:assert/strict'
import { test } from 'node:test'
import { currentEnvironment } from '@bankside/service-kit/config'
import { declines } from './movement.ts'
import { runModel } from './testing/run-model.ts'

/** Repeats one run when it is set. The long form is `npm run ledger:prove`. */
const given = currentEnvironment()['LEDGER_SEED']
const seeds = given === undefined ? [1, 2, Math.floor(performance.timeOrigin) % 1_000_000] : [Number(given)]

for (const seed of seeds)
  test(`whatever is done at random, every answer and every balance is that of the model (seed ${seed})`, async (t) => {
    const { accepted, declined } = await runModel({ seed, movements: 1_500 })
    t.diagnostic(`${accepted} accepted; ${[...declined].map(([word, count]) => `${word} ${count}`).join(', ')}`)
    assert.ok(accepted > 300)
    if (seed === 1) assert.deepEqual([...declined.keys()].sort(), [...declines].sort(), 'every way of declining came up')
  })
