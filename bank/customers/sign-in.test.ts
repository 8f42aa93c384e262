import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { sql, z } from '@bankside/service-kit/postgres'
import { dayMs, later, minuteMs, noon, openWorld, password, type TestCustomer, type World } from '../consents/testing/test-world.ts'
import { answerSecondFactor } from './answer-second-factor.ts'
import { getProfile } from './get-profile.ts'
import { hashPassword, matchesPassword, nobodysHash } from './passwords.ts'
import { closeSession, openSession, sessionLifeMs, touchSession } from './session.ts'
import { lockPeriodMs } from './sign-in-attempts.ts'
import { challengePeriodMs, startSecondFactor } from './start-second-factor.ts'
import { matchTotp, totpCode } from './totp.ts'
import { verifyPassword } from './verify-password.ts'

let world: World
before(async () => {
  world = await openWorld()
})
after(() => world.close())

const signIn = (username: string, attempt: string, now = noon) => verifyPassword(world.authServer, { username, password: attempt, now })
const challenge = ({ customerId }: TestCustomer, now = noon) => world.asAuthServer((tx) => startSecondFactor(tx, { customerId, now }))
const answer = ({ customerId }: TestCustomer, challengeId: string, code: string, now = noon) =>
  world.asAuthServer((tx) => answerSecondFactor(tx, { challengeId, customerId, code, dataKey: world.dataKey, now }))
const wrongCode = ({ totpSecret }: TestCustomer, now = noon) =>
  ['000000', '111111', '222222', '333333'].find((code) => matchTotp(totpSecret, code, now) === undefined) ?? ''

/** Signs in with both factors, in a step of its own. */
async function complete(customer: TestCustomer, now: Date): Promise<void> {
  assert.equal((await signIn(customer.username, password, now)).outcome, 'accepted')
  assert.equal(await answer(customer, await challenge(customer, now), totpCode(customer.totpSecret, now), now), 'accepted')
}

test('CX-11 SCA-02 an unknown name and a wrong password get the same answers, and lock alike', async () => {
  const { username } = await world.person()
  for (const name of [username, `nobody-${randomUUID()}`]) {
    const answers = []
    for (let n = 0; n < 7; n++) answers.push(await signIn(name, 'wrong'))
    assert.deepEqual(answers, [
      ...[4, 3, 2, 1].map((attemptsLeft) => ({ outcome: 'wrong', attemptsLeft })),
      ...Array(3).fill({ outcome: 'locked' }),
    ])
  }
})
test('CX-11 a password for a name that nobody has is checked at the same cost', async () => {
  const costOf = (hash: string) => hash.split('$').slice(0, 4).join('$')
  const lengths = (hash: string) => hash.split('$').map(({ length }) => length)
  const real = await hashPassword(password)
  assert.deepEqual([costOf(nobodysHash), lengths(nobodysHash)], [costOf(real), lengths(real)])
  assert.equal(await matchesPassword(undefined, password), false)
})
test('CX-11 locked means locked, for the right password too, for fifteen minutes', async () => {
  const { username } = await world.person()
  for (let n = 0; n < 5; n++) await signIn(username, 'wrong')
  assert.equal((await signIn(username, password)).outcome, 'locked')
  assert.equal((await signIn(username, password, later(lockPeriodMs - 1))).outcome, 'locked')
  assert.equal((await signIn(username, password, later(lockPeriodMs))).outcome, 'accepted')
})
test('CX-11 twenty guesses at once are five tries', async () => {
  const { username } = await world.person()
  const outcomes = (await Promise.all(Array.from({ length: 20 }, (_, n) => signIn(username, `guess ${n}`)))).map(({ outcome }) => outcome)
  assert.equal(outcomes.filter((outcome) => outcome === 'wrong').length, 4)
  assert.equal(outcomes.filter((outcome) => outcome === 'locked').length, 16)
})
test('CX-11 twenty guesses at once, the right one last in line, are five tries', async () => {
  const { username } = await world.person()
  for (let n = 0; n < 4; n++) await signIn(username, 'wrong')
  assert.deepEqual(await signIn(username, 'wrong'), { outcome: 'locked' })
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => signIn(username, password)))
  assert.ok(outcomes.every(({ outcome }) => outcome === 'locked'))
})
test('CX-11 the right password alone resets nothing: wrong ones in between still add up', async () => {
  const { username } = await world.person()
  for (let n = 0; n < 4; n++) {
    assert.equal((await signIn(username, 'wrong')).outcome, 'wrong')
    assert.equal((await signIn(username, password)).outcome, 'accepted')
  }
  assert.equal((await signIn(username, 'wrong')).outcome, 'locked')
})
test('CX-11 passwords and codes share one count, and a complete sign-in resets it', async () => {
  const customer = await world.person()
  for (let n = 0; n < 2; n++) await signIn(customer.username, 'wrong')
  const challengeId = await challenge(customer)
  assert.equal(await answer(customer, challengeId, wrongCode(customer)), 'wrong')
  assert.equal(await answer(customer, challengeId, wrongCode(customer)), 'wrong')
  await complete(customer, noon)
  const another = await challenge(customer)
  for (let n = 0; n < 4; n++) assert.equal(await answer(customer, another, wrongCode(customer)), 'wrong')
  assert.equal(await answer(customer, another, wrongCode(customer)), 'locked')
  assert.equal(await answer(customer, another, totpCode(customer.totpSecret, later(minuteMs)), later(minuteMs)), 'locked')
  assert.equal((await signIn(customer.username, password, later(minuteMs))).outcome, 'locked')
})
test('CX-11 twenty wrong codes at once are five tries', async () => {
  const customer = await world.person()
  const challengeId = await challenge(customer)
  const results = await Promise.all(Array.from({ length: 20 }, () => answer(customer, challengeId, wrongCode(customer))))
  assert.deepEqual([results.filter((result) => result === 'wrong').length, results.filter((result) => result === 'locked').length], [4, 16])
})

test('SCA-01 a code of another time, shape or customer is wrong', async () => {
  const customer = await world.person()
  const stranger = await world.person()
  const challengeId = await challenge(customer)
  for (const code of [
    totpCode(customer.totpSecret, later(-minuteMs)),
    totpCode(customer.totpSecret, later(minuteMs)),
    '12345',
    '',
    'abcdef',
  ])
    assert.notEqual(await answer(customer, challengeId, code), 'accepted', code)
  assert.equal(await answer(stranger, challengeId, totpCode(stranger.totpSecret, noon)), 'expired')
})
test('SCA-01 one step early or late is accepted', async () => {
  for (const skewMs of [-30_000, 0, 30_000]) {
    const customer = await world.person()
    assert.equal(await answer(customer, await challenge(customer), totpCode(customer.totpSecret, later(skewMs))), 'accepted')
  }
})
test('SCA-01 RFC 6238 appendix B: the codes are those of the standard', () => {
  const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
  for (const [seconds, code] of [
    [59, '287082'],
    [1_111_111_109, '081804'],
    [1_234_567_890, '005924'],
    [20_000_000_000, '353130'],
  ] as const)
    assert.equal(totpCode(secret, new Date(seconds * 1000)), code)
})
test('SCA-01 a code is accepted once, whatever it is used for', async () => {
  const customer = await world.person()
  const code = totpCode(customer.totpSecret, noon)
  const [first, second] = [await challenge(customer), await challenge(customer)]
  assert.equal(await answer(customer, first, code), 'accepted')
  assert.equal(await answer(customer, second, code), 'used')
  assert.equal(await answer(customer, first, totpCode(customer.totpSecret, later(30_000))), 'used')
})
test('SCA-01 one code for eight challenges at once: one is accepted', async () => {
  const customer = await world.person()
  const challenges = await Promise.all(Array.from({ length: 8 }, () => challenge(customer)))
  const code = totpCode(customer.totpSecret, noon)
  const results = await Promise.all(challenges.map((challengeId) => answer(customer, challengeId, code)))
  assert.deepEqual(results.toSorted(), ['accepted', ...Array(7).fill('used')])
  assert.equal((await signIn(customer.username, password)).outcome, 'accepted')
})
test('SCA-01 eight answers to one challenge at once: one is accepted', async () => {
  const customer = await world.person()
  const challengeId = await challenge(customer)
  const code = totpCode(customer.totpSecret, noon)
  const results = await Promise.all(Array.from({ length: 8 }, () => answer(customer, challengeId, code)))
  assert.equal(results.filter((result) => result === 'accepted').length, 1)
})
test('CX-10 a challenge that has run out accepts nothing', async () => {
  const customer = await world.person()
  const challengeId = await challenge(customer)
  const late = later(challengePeriodMs)
  assert.equal(await answer(customer, challengeId, totpCode(customer.totpSecret, late), late), 'expired')
  assert.equal(await answer(customer, `sca_${'0'.repeat(32)}`, totpCode(customer.totpSecret, noon)), 'expired')
})

test('SCA-08 neither password nor secret is stored in clear', async () => {
  const { customerId, totpSecret } = await world.person()
  const stored = await world.owner.one(sql.type(z.object({ password_hash: z.string(), totp_secret_sealed: z.instanceof(Buffer) }))`
    select password_hash, totp_secret_sealed from customers.customer where customer_id = ${customerId}`)
  assert.match(stored.password_hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  assert.ok(!stored.totp_secret_sealed.toString('latin1').includes(totpSecret))
  await assert.rejects(
    world.asResourceApi((tx) => tx.query(sql.unsafe`select password_hash from customers.customer`)),
    /permission denied/,
  )
})
test('SCA-08 an over-long password never matches', async () => assert.equal(await matchesPassword(undefined, 'x'.repeat(10_000)), false))

test('CX-11 a session ends after five idle minutes, and after an hour however busy', async () => {
  const { customerId } = await world.person()
  const open = () => world.asAuthServer((tx) => openSession(tx, { customerId, now: noon }))
  const touch = async (secret: string, now: Date) => (await world.asAuthServer((tx) => touchSession(tx, { secret, now })))?.customerId
  const idle = await open()
  assert.equal(await touch(idle, later(5 * minuteMs)), undefined)
  const busy = await open()
  for (let time = 4 * minuteMs; time < sessionLifeMs; time += 4 * minuteMs) assert.equal(await touch(busy, later(time)), customerId)
  assert.equal(await touch(busy, later(sessionLifeMs)), undefined)
  const closed = await open()
  await world.asAuthServer((tx) => closeSession(tx, { secret: closed }))
  assert.equal(await touch(closed, noon), undefined)
  assert.equal(await touch('made up', later(dayMs)), undefined)
})

test('NAT-S1 a profile hides most of the phone number', async () => {
  const { customerId, username } = await world.person()
  assert.deepEqual(await world.asResourceApi((tx) => getProfile(tx, customerId)), {
    customerId,
    fullName: 'Ann Example',
    email: `${username}@example.test`,
    emailVerified: true,
    phone: '+*********123',
    createdAt: noon,
  })
  assert.equal(await world.asResourceApi((tx) => getProfile(tx, `cus_${'0'.repeat(32)}`)), undefined)
})
