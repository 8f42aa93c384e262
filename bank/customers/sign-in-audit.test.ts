import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { sql, z } from '@bankside/service-kit/postgres'
import { noon, openWorld, password, type TestCustomer, type World } from '../consents/testing/test-world.ts'
import { answerSecondFactor } from './answer-second-factor.ts'
import { startSecondFactor } from './start-second-factor.ts'
import { matchTotp, totpCode } from './totp.ts'
import { verifyPassword } from './verify-password.ts'

let world: World
before(async () => {
  world = await openWorld()
})
after(() => world.close())

const recordRow = z.object({ actor: z.string(), action: z.string(), reason: z.string().nullable(), whole: z.string() })

/** What the audit log says of a request, and nothing else did. */
const recordsOf = (interactionId: string) =>
  world.owner.any(sql.type(recordRow)`
    select actor, action, details ->> 'reason' as reason, record::text as whole
    from audit.record where interaction_id = ${interactionId} order by occurred_at, record_id`)
const signIn = async (username: string, attempt: string) => {
  const interactionId = randomUUID()
  await verifyPassword(world.authServer, { username, password: attempt, interactionId, now: noon })
  return recordsOf(interactionId)
}
const challengeOf = ({ customerId }: TestCustomer) => world.asAuthServer((tx) => startSecondFactor(tx, { customerId, now: noon }))
const answer = async ({ customerId }: TestCustomer, challengeId: string, code: string) => {
  const interactionId = randomUUID()
  await world.asAuthServer((tx) =>
    answerSecondFactor(tx, { challengeId, customerId, code, dataKey: world.dataKey, interactionId, now: noon }),
  )
  return recordsOf(interactionId)
}
const hashed = (username: string) => `username:${createHash('sha256').update(username).digest('hex')}`
const told = (records: readonly { actor: string; action: string; reason: string | null }[]) =>
  records.map(({ actor, action, reason }) => [actor, action, reason])

test('SCA-11 SCA-14 each refused password leaves one record, for a name that nobody has too, and so does the lock', async () => {
  const { username } = await world.person()
  for (const name of [username, `nobody-${randomUUID()}`]) {
    const records = []
    for (let n = 0; n < 6; n++) records.push(...(await signIn(name, 'a wrong password')))
    const refused = (reason: string) => [hashed(name), 'password.refused', reason]
    assert.deepEqual(told(records), [...Array(4).fill(refused('wrong')), refused('wrong_and_locked'), refused('locked')])
    for (const { whole } of records) assert.ok(!whole.includes(name) && !whole.includes('a wrong password'), whole)
  }
})

test('SCA-11 SCA-14 each refused code leaves one record, and so does the lock; none says the code', async () => {
  const customer = await world.person()
  const code = ['000000', '111111', '222222', '333333'].find((wrong) => matchTotp(customer.totpSecret, wrong, noon) === undefined) ?? ''
  const challengeId = await challengeOf(customer)
  const records = []
  for (let n = 0; n < 6; n++) records.push(...(await answer(customer, challengeId, code)))
  const refused = (reason: string) => [customer.customerId, 'second_factor.refused', reason]
  assert.deepEqual(told(records), [...Array(4).fill(refused('wrong')), refused('wrong_and_locked'), refused('locked')])
  for (const { whole } of records) assert.ok(!whole.includes(`"${code}"`) && !whole.includes(customer.username), whole)
  assert.deepEqual(told(await answer(customer, `sca_${'0'.repeat(32)}`, code)), [refused('expired')])
})

test('SCA-11 a sign-in leaves a record of each factor, with the customer who signed in; a code used again is on record', async () => {
  const customer = await world.person()
  const { customerId, username, totpSecret } = customer
  assert.deepEqual(told(await signIn(username, password)), [[customerId, 'password.accepted', null]])
  const code = totpCode(totpSecret, noon)
  const [first, second] = [await challengeOf(customer), await challengeOf(customer)]
  const accepted = await answer(customer, first, code)
  assert.deepEqual(told(accepted), [[customerId, 'second_factor.accepted', null]])
  assert.ok(!accepted[0]?.whole.includes(code) && !accepted[0]?.whole.includes(username))
  assert.deepEqual(told(await answer(customer, second, code)), [[customerId, 'second_factor.refused', 'used']])
})
