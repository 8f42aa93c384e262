import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { systemClock } from '@bankside/service-kit/clock'
import { createLog } from '@bankside/service-kit/log'
import { openPrepared, type Prepared } from '@bankside/service-kit/prepared'
import { createTestDatabase, type TestDatabase } from '@bankside/service-kit/test-database'
import type { Adapter } from 'oidc-provider'
import pg from 'pg'
import { createAdapter } from './adapter.ts'
import { storedSeals } from './stored-seals.ts'

const models = ['AuthorizationCode', 'Interaction', 'PushedAuthorizationRequest', 'RefreshToken', 'Session']
let database: TestDatabase
let prepared: Prepared

before(async () => {
  database = await createTestDatabase()
  prepared = openPrepared(database.authServerUrl, { maxConnections: 3 })
})
after(async () => {
  await prepared.end()
  await database.drop()
})

test('whatever is looked for in one turn, in whichever tables, each finds its own', async () => {
  const log = createLog({ level: 'silent', name: 'test' })
  const adapterOf = createAdapter({ prepared, clock: systemClock, log, seals: storedSeals([randomBytes(32)]) }) as (
    model: string,
  ) => Adapter
  const stored = models.flatMap((model) =>
    [1, 2].map((number) => ({ adapter: adapterOf(model), id: `${model} ${number}`, uid: `${model}${number}` })),
  )
  for (const { adapter, id, uid } of stored) await adapter.upsert(id, { uid, grantId: 'a grant', nonce: id }, 60)
  const subsets = 2 ** stored.length
  // A step that shares no factor with their number meets sets of every size.
  for (let subset = 0; subset < subsets; subset += 13) {
    const sought = stored.filter((_, index) => (subset >> index) % 2 === 1)
    const missing = subset % 2 === 1 ? sought : []
    const found = await Promise.all([
      ...sought.map(({ adapter, id }) => adapter.find(id)),
      ...missing.map(({ adapter, id }) => adapter.find(`${id} that is not there`)),
    ])
    assert.deepEqual(
      found.map((payload) => payload?.['nonce']),
      [...sought.map(({ id }) => id), ...missing.map(() => undefined)],
    )
  }
})

test('rows are found by their keys, however few there are when PostgreSQL makes its plan', async () => {
  const owner = new pg.Client({
    connectionString: database.ownerUrl,
    options: '-c enable_seqscan=off -c plan_cache_mode=force_generic_plan',
  })
  await owner.connect()
  try {
    for (const before of ['select', 'vacuum analyze', 'vacuum full analyze']) {
      await owner.query(before)
      for (const count of [1, 2, 12])
        for (const { text, values } of await askedFor(count)) {
          await owner.query(`prepare asked as ${text}`)
          const { rows } = await owner.query(`explain execute asked (${values.map(() => 'null').join(', ')})`)
          const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
          assert.match(plan, /Index (Only )?Scan using \w+_(pkey|is_unique)/, `${text}\n${plan}`)
          assert.doesNotMatch(plan, /Bitmap|Seq Scan|_expiry/, `${text}\n${plan}`)
          await owner.query('deallocate asked')
        }
    }
  } finally {
    await owner.end()
  }
})

type Asked = { readonly text: string; readonly values: readonly unknown[] }

/** What is asked for so many keys of each table. */
async function askedFor(count: number): Promise<readonly Asked[]> {
  const asked: Asked[] = []
  const listening: Prepared = {
    ...prepared,
    query: async (_name, text, values = []) => {
      asked.push({ text, values })
      return []
    },
  }
  const log = createLog({ level: 'silent', name: 'test' })
  const adapterOf = createAdapter({ prepared: listening, clock: systemClock, log, seals: storedSeals([randomBytes(32)]) }) as (
    model: string,
  ) => Adapter
  for (const model of [...models, 'Grant'])
    await Promise.all(Array.from({ length: count }, (_, index) => adapterOf(model).find(`${model} ${index}`)))
  await adapterOf('Session').findByUid('a uid')
  return asked
}
