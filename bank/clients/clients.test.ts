import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { transact, violatedConstraint } from '@bankside/service-kit/postgres'
import { authorisedWorldOf, noon, openWorld, thirdParty, type World } from '../consents/testing/test-world.ts'
import { findClient } from './find-client.ts'
import { registerClient } from './register-client.ts'
import { setClientStatus } from './set-client-status.ts'

let world: World
before(async () => {
  world = await openWorld()
})
after(() => world.close())

const register = (clientId: string, name = 'Acorn Money') =>
  transact(world.owner, (tx) =>
    registerClient(tx, {
      clientId,
      profile: 'fapi2_sp',
      name,
      firstParty: false,
      metadata: { redirect_uris: ['https://a.test'] },
      now: noon,
    }),
  )
const setStatus = (clientId: string, status: 'active' | 'blocked') =>
  transact(world.owner, (tx) => setClientStatus(tx, { clientId, status, actor: 'operator', now: noon }))

test('FAPI2-AS-15 a client id that could be taken for a customer is refused', () =>
  assert.rejects(register(`cus_${'0'.repeat(32)}`), (error) => violatedConstraint(error) === 'client_id_is_not_a_subject'))

test('registered again, a client has its new name and keeps its status', async () => {
  await register('tpp-1')
  await setStatus('tpp-1', 'blocked')
  await register('tpp-1', 'Acorn')
  const client = await world.asAuthServer((tx) => findClient(tx, 'tpp-1'))
  assert.deepEqual(client, {
    clientId: 'tpp-1',
    profile: 'fapi2_sp',
    name: 'Acorn',
    firstParty: false,
    status: 'blocked',
    metadata: { redirect_uris: ['https://a.test'] },
  })
  assert.equal(await world.asAuthServer((tx) => findClient(tx, 'tpp-2')), undefined)
})

test('RW-ST-04 a blocked client’s very next call is refused; let in again, it goes on', async () => {
  const { token } = await authorisedWorldOf(world)
  const reading = { api: 'uk', operation: 'accounts.list', now: noon } as const
  await world.access(token, reading)
  assert.deepEqual([await setStatus(thirdParty, 'blocked'), await setStatus(thirdParty, 'blocked')], [true, false])
  await assert.rejects(world.access(token, reading), { code: 'client_blocked' })
  await setStatus(thirdParty, 'active')
  await world.access(token, reading)
})
