import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { sql, transact, z } from '@bankside/service-kit/postgres'
import { sealingKeyId } from '@bankside/service-kit/seal'
import { later, minuteMs, noon, openWorld, type TestCustomer, type World } from '../consents/testing/test-world.ts'
import { answerSecondFactor } from './answer-second-factor.ts'
import { resealTotpSecrets } from './reseal-totp-secrets.ts'
import { startSecondFactor } from './start-second-factor.ts'
import { sealTotpSecret, totpCode, unsealTotpSecret } from './totp.ts'

const count = 205
let world: World
const people: TestCustomer[] = []
before(async () => {
  world = await openWorld()
  for (let index = 0; index < 3; index++) people.push(await world.person())
  const [first] = people
  // As many more as take two pages: copies of the first but for their id, which their secret is sealed for.
  for (let index = 0; index < count; index++) {
    const customerId = `cus_${randomBytes(16).toString('hex')}` as const
    const sealed = sealTotpSecret(world.dataKey, customerId, first?.totpSecret ?? '')
    await world.owner.query(sql.unsafe`
      insert into customers.customer
      select ${customerId}, ${`copy-${index}`}, password_hash, ${sql.binary(sealed)}, full_name, email, email_verified, phone, created_at
      from customers.customer where customer_id = ${first?.customerId ?? ''}`)
    people.push({ customerId, username: `copy-${index}`, totpSecret: first?.totpSecret ?? '' })
  }
})
after(() => world.close())

const sealedOf = async (customerId: string): Promise<Buffer> =>
  (
    await world.owner.one(sql.type(z.object({ totp_secret_sealed: z.instanceof(Buffer) }))`
      select totp_secret_sealed from customers.customer where customer_id = ${customerId}`)
  ).totp_secret_sealed
const opensWith = async (key: Uint8Array) => {
  for (const { customerId, totpSecret } of people) assert.equal(unsealTotpSecret(key, customerId, await sealedOf(customerId)), totpSecret)
}
/** One that begins what it seals with the same byte, as one in 256 does. */
const namesakeOf = (key: Uint8Array): Buffer => {
  for (;;) {
    const found = randomBytes(32)
    if (sealingKeyId(found) === sealingKeyId(key)) return found
  }
}

test('SCA-08 FAPI2-CR-09 second factors are answered while the key changes, and sealed anew meanwhile, by whichever process comes first', async () => {
  const next = randomBytes(32)
  const [ann] = people
  assert.ok(ann)
  const answer = async (dataKey: Parameters<typeof answerSecondFactor>[1]['dataKey'], now: Date) => {
    const { customerId } = ann
    const challengeId = await world.asAuthServer((tx) => startSecondFactor(tx, { customerId, consent: undefined, now }))
    const code = totpCode(ann.totpSecret, now)
    return world.asAuthServer((tx) => answerSecondFactor(tx, { challengeId, customerId, code, dataKey, now }))
  }
  assert.equal(await answer([next, world.dataKey], noon), 'accepted', 'what the old one sealed')
  const done = await Promise.all([1, 2].map(() => resealTotpSecrets(world.authServer, [next, world.dataKey])))
  assert.deepEqual([done.reduce((sum, { sealed }) => sum + sealed, 0), done[0]?.unopened], [people.length, 0])
  assert.deepEqual(await resealTotpSecrets(world.authServer, [next, world.dataKey]), { sealed: 0, unopened: 0 })
  await opensWith(next)
  assert.equal(await answer(next, later(minuteMs)), 'accepted', 'the old one may go')
  await assert.rejects(answer(world.dataKey, later(2 * minuteMs)), /does not open/)

  const namesake = namesakeOf(next)
  assert.deepEqual(await resealTotpSecrets(world.authServer, [namesake, next]), { sealed: people.length, unopened: 0 })
  await opensWith(namesake)
  assert.deepEqual(await resealTotpSecrets(world.authServer, [randomBytes(32), randomBytes(32)]), { sealed: 0, unopened: people.length })
  await opensWith(namesake)
})

test('a second factor that changed while it was sealed anew stays what it became; nobody else than the authorization server does so', async () => {
  const [, ben] = people
  assert.ok(ben)
  const before = await sealedOf(ben.customerId)
  const changed = sealTotpSecret(randomBytes(32), ben.customerId, ben.totpSecret)
  await world.owner.query(
    sql.unsafe`update customers.customer set totp_secret_sealed = ${sql.binary(changed)} where customer_id = ${ben.customerId}`,
  )
  const reseal = sql.unsafe`
    select customers.reseal_totp_secrets(array[${ben.customerId}], array[${sql.binary(before)}::bytea], array[${sql.binary(randomBytes(64))}::bytea])`
  await world.authServer.query(reseal)
  assert.deepEqual(await sealedOf(ben.customerId), changed)
  for (const other of [world.resourceApi, world.worker])
    await assert.rejects(
      transact(other, (tx) => tx.query(reseal)),
      /permission denied/,
    )
})
