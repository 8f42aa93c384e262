import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from '@bankside/service-kit/postgres'
import { Unavailable } from '@bankside/service-kit/refusal'
import { noon, openWorld, password, type World } from '../consents/testing/test-world.ts'
import { verifyPassword } from './verify-password.ts'

let world: World
before(async () => {
  world = await openWorld()
})
after(() => world.close())

test('a flood of guesses: what cannot be checked soon is refused and not counted, and afterwards customers sign in', async () => {
  const { username } = await world.person()
  const guesses = Array.from({ length: 120 }, (_, index) =>
    verifyPassword(world.authServer, { username: `nobody-${index}`, password: 'wrong', now: noon }).then(
      ({ outcome }) => outcome,
      (error: unknown) => (error instanceof Unavailable ? 'unavailable' : String(error)),
    ),
  )
  const outcomes = await Promise.all(guesses)
  assert.deepEqual([...new Set(outcomes)].sort(), ['unavailable', 'wrong'])
  const counted = await world.owner.oneFirst(sql.unsafe`select count(*) from customers.sign_in_attempt`)
  assert.equal(counted, BigInt(outcomes.filter((outcome) => outcome === 'wrong').length))
  assert.equal((await verifyPassword(world.authServer, { username, password, now: noon })).outcome, 'accepted')
})
