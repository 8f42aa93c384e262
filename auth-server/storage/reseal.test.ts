import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { systemClock } from '@bankside/service-kit/clock'
import { createLog } from '@bankside/service-kit/log'
import { openPrepared, type Prepared } from '@bankside/service-kit/prepared'
import { createTestDatabase, type TestDatabase } from '@bankside/service-kit/test-database'
import type { AdapterPayload } from 'oidc-provider'
import { createAdapter } from './adapter.ts'
import { resealStored } from './reseal.ts'
import { storedSeals } from './stored-seals.ts'

const log = createLog({ level: 'silent', name: 'test' })
const [old, next] = [randomBytes(32), randomBytes(32)]
const count = 450

let database: TestDatabase
let prepared: Prepared
before(async () => {
  database = await createTestDatabase()
  prepared = openPrepared(database.authServerUrl)
})
after(async () => {
  await prepared.end()
  await database.drop()
})

const storage = (keys: Buffer[]) => createAdapter({ prepared, clock: systemClock, log, seals: storedSeals(keys) })

test('FAPI2-CR-09 grants and refresh tokens outlive the key that sealed them, whoever rotates at once; what nobody sealed does not', async () => {
  const before = { tokens: storage([old])('RefreshToken'), grants: storage([old])('Grant') }
  const payload = { exp: 4_000_000_000, grantId: 'grant' } as AdapterPayload
  for (let index = 0; index < count; index++) await before.tokens.upsert(`token ${index}`, payload, 1_000)
  await before.grants.upsert('grant', { ...payload, accountId: 'cus_1', clientId: 'acorn' } as AdapterPayload, 1_000)
  await prepared.query(
    undefined,
    `update oidc.refresh_token set payload = left(payload, 4) || 'forged' where id_hash = (select min(id_hash) from oidc.refresh_token)`,
  )

  const both = storedSeals([next, old])
  const sealed = await Promise.all([resealStored(prepared, both, log), resealStored(prepared, both, log)])
  assert.equal(
    sealed.reduce((sum, one) => sum + one),
    count - 1 + 1,
  )
  assert.equal(await resealStored(prepared, both, log), 0)

  const [tokens, grants] = [storage([next])('RefreshToken'), storage([next])('Grant')]
  const found = await Promise.all(Array.from({ length: count }, (_, index) => tokens.find(`token ${index}`)))
  assert.equal(found.filter((token) => token !== undefined).length, count - 1)
  assert.equal((await grants.find('grant'))?.accountId, 'cus_1')
})
