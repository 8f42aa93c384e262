import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { claimKey } from '@bankside/bank/idempotency/claim-key'
import { type AccountId, newPaymentId } from '@bankside/bank/ids'
import { firstMovement, followMovements } from '@bankside/bank/ledger/follow-movements'
import type { Movement, MovementOutcome } from '@bankside/bank/ledger/movement'
import { movementKey } from '@bankside/bank/ledger/movement-key'
import { type MovementWriter, openMovementWriter } from '@bankside/bank/ledger/movement-writer'
import { reconcile } from '@bankside/bank/ledger/reconcile'
import { gbp, later, noon, openTestBank, type TestBank } from '@bankside/bank/payments/testing/test-bank'
import { systemClock } from '@bankside/service-kit/clock'
import { createMetrics } from '@bankside/service-kit/metrics'
import { sql, sqlState, transact, z } from '@bankside/service-kit/postgres'
import pg from 'pg'
import { keepPartitions } from './keep-partitions.ts'
import { createWorkerMetrics } from './worker-metrics.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
let bank: TestBank
let writers: readonly [MovementWriter, MovementWriter]
let ann: AccountId
let ben: AccountId
const registry = createMetrics('worker')
const metrics = createWorkerMetrics(registry)

before(async () => {
  bank = await openTestBank({ maxConnections: 20 })
  writers = [
    openMovementWriter(bank.urls.ledgerUrl, { clock: systemClock }),
    openMovementWriter(bank.urls.ledgerUrl, { clock: systemClock }),
  ]
  ann = await bank.newAccount({ funds: 1_000_000n })
  ben = await bank.newAccount()
})
after(async () => {
  await Promise.all(writers.map((writer) => writer.close()))
  await bank.close()
})

const keyed = (key: string): Movement => ({
  key: movementKey({ clientId: 'test', method: 'COMMAND', endpoint: 'generations', key, request: null }),
  operations: [{ kind: 'transfer', from: ann, to: ben, amount: gbp(1), description: 'd', reference: key }],
  actor: 'test',
})
const madeBy = (outcome: MovementOutcome) => {
  assert.ok('made' in outcome, JSON.stringify(outcome))
  return outcome.made[0] as string
}
const generations = async (table: string) =>
  (await bank.owner.anyFirst(
    sql.type(z.object({ generation: z.number() }))`select generation from housekeeping.generation where table_name = ${table} order by 1`,
  )) as number[]
const letADayPass = () =>
  bank.owner.query(sql.unsafe`update housekeeping.generation set begun_at = begun_at - interval '1 day' where ended_at is null`)
/** As the worker's loop does, but that a day is over whenever it is asked. */
const beginNext = async () => {
  await letADayPass()
  await keepPartitions(bank.worker, { now: new Date(), metrics })
}
/** Both tables go on to their next one, however busy they are. */
const rotate = async () => {
  const before = [await generations('movement'), await generations('idempotent_request')].map((all) => all.at(-1))
  for (let attempt = 0; attempt < 100; attempt++) {
    await beginNext()
    const after = [await generations('movement'), await generations('idempotent_request')].map((all) => all.at(-1))
    if (after.every((last, index) => last !== before[index])) return
    await sleep(20)
  }
  assert.fail('no generation began')
}

test('one key makes one movement, and one request, also while generations begin: from two processes, one by one and in batches', async () => {
  let done = false
  let begun = 0
  const beginning = (async () => {
    while (!done) {
      await rotate()
      begun++
      await sleep(50)
    }
  })()
  const made = new Map<string, Set<string>>()
  const ask = async (writer: MovementWriter, key: string) =>
    made.set(key, (made.get(key) ?? new Set()).add(madeBy(await writer.write(keyed(key)))))
  let keys = 0
  for (let round = 0; round < 16 || begun < 3; round++) {
    const some = Array.from({ length: round % 2 === 0 ? 1 : 30 }, () => `racing-${++keys}`)
    await Promise.all(writers.flatMap((writer) => some.map((key) => ask(writer, key))))
    // And again what was asked in an earlier generation, some of it long ago.
    const earlier = Array.from({ length: 5 }, () => `racing-${1 + Math.floor(Math.random() * keys)}`)
    await Promise.all(writers.flatMap((writer) => earlier.map((key) => ask(writer, key))))
    const key = randomUUID()
    const claim = () =>
      transact(bank.resourceApi, (tx) =>
        claimKey(tx, {
          clientId: 'third-party',
          method: 'POST',
          endpoint: '/race',
          key,
          request: {},
          resourceId: newPaymentId(),
          now: new Date(),
        }),
      )
    const claims = await Promise.all([claim(), claim(), claim()])
    assert.equal(claims.filter((one) => 'claimed' in one).length, 1)
    assert.equal(new Set(claims.flatMap((one) => ('replayed' in one ? [one.replayed] : []))).size, 1)
  }
  done = true
  await beginning
  for (const [key, ids] of made) assert.equal(ids.size, 1, key)
  const entries = await bank.owner.oneFirst(sql.unsafe`select count(*) from ledger.entry where reference like 'racing-%'`)
  assert.equal(entries, BigInt(keys))
  assert.ok((await generations('movement')).length >= 4)
  // Whoever follows the ledger reads all of them, from whichever generation.
  const { movements } = await followMovements(bank.owner, { after: firstMovement, limit: 10_000 })
  assert.equal(new Set(movements.flatMap(({ made: [id] }) => id)).size, movements.length)
  assert.ok(movements.length >= keys)
  assert.deepEqual(await reconcile(bank.worker), [])
})

test('what was forgotten stands beside what was made since under the same key: in a batch too, and when clocks differ', async () => {
  const first = madeBy(await writers[0].write(keyed('again')))
  await bank.owner.query(
    sql.unsafe`update ledger.movement set made_at = made_at - interval '24 hours' where movement_key = ${keyed('again').key.id}`,
  )
  await rotate()
  const second = madeBy(await writers[0].write(keyed('again')))
  assert.notEqual(second, first)
  // To this one's clock nothing is forgotten yet.
  const slow = openMovementWriter(bank.urls.ledgerUrl, { clock: { now: () => new Date(Date.now() - hourMs) } })
  const names = Array.from({ length: 60 }, (_, index) => `beside-${index}`)
  const outcomes = await Promise.all([...names.slice(0, 30), 'again', ...names.slice(30)].map((key) => slow.write(keyed(key))))
  await slow.close()
  assert.deepEqual(outcomes[30], { made: [second], replayed: true })
  assert.equal(new Set(outcomes.map(madeBy)).size, 61)
  assert.ok(outcomes.every((outcome, index) => 'replayed' in outcome && outcome.replayed === (index === 30)))

  const consent = (now: Date) => bank.newConsent({ debtorAccountId: ann, creditorAccountId: ben, amount: gbp(10), now })
  const [one, other] = [await consent(noon), await consent(later(dayMs - hourMs))]
  const paid = await bank.submitKeyed(one, { key: 'again', request: 1 })
  await rotate()
  const paidAgain = await bank.submitKeyed(other, { key: 'again', request: 2, now: later(dayMs) })
  assert.ok('made' in paid && 'made' in paidAgain)
  for (const now of [later(dayMs), later(dayMs - 1)])
    assert.deepEqual(await bank.submitKeyed(other, { key: 'again', request: 2, now }), { replayed: paidAgain.made.id })
})

test('a worker that dies while a generation begins has begun none, and nobody who writes notices', async () => {
  const before = await generations('movement')
  await letADayPass()
  const dying = new pg.Client(bank.urls.workerUrl)
  dying.on('error', () => {})
  await dying.connect()
  const { rows } = await dying.query('select pg_backend_pid() as pid')
  await dying.query('begin')
  await dying.query('select housekeeping.begin_generation(now()), housekeeping.begin_generation(now())')
  const waiting = writers[0].write(keyed('while it dies'))
  // Another worker finds it under way, and does not wait.
  await keepPartitions(bank.worker, { now: noon, metrics })
  await bank.owner.query(sql.unsafe`select pg_terminate_backend(${rows[0].pid}::integer)`)
  madeBy(await waiting)
  assert.deepEqual(await generations('movement'), before)
  await rotate()
  assert.equal((await generations('movement')).at(-1), (before.at(-1) as number) + 1)
  assert.deepEqual(await writers[1].write(keyed('while it dies')), { made: [madeBy(await waiting)], replayed: true })
})

test('a generation goes when all of it is forgotten, not by the clock of whoever asks, and the roles reach none by themselves', async () => {
  const before = await generations('movement')
  await keepPartitions(bank.worker, { now: new Date(Date.now() + 3 * dayMs), metrics })
  assert.deepEqual(await generations('movement'), before)
  const [oldest, next] = before as [number, number]
  await bank.owner.query(sql.unsafe`
    update housekeeping.generation set begun_at = begun_at - interval '30 hours', ended_at = ended_at - interval '25 hours'
    where table_name = 'movement' and generation = ${oldest}`)
  assert.equal(await keepPartitions(bank.worker, { now: new Date(), metrics }), 1)
  assert.equal((await generations('movement'))[0], next)
  assert.deepEqual(await reconcile(bank.worker), [])
  const age = (await registry.getSingleMetric('bankside_generation_begun_timestamp_seconds')?.get())?.values
  assert.deepEqual(age?.map(({ labels }) => labels['table']).sort(), ['ledger.movement', 'payments.idempotent_request'])
  const current = `movement_${before.at(-1)}`
  const attempts = [
    sql.unsafe`delete from ledger.movement`,
    sql.unsafe`delete from ${sql.identifier(['ledger', current])}`,
    sql.unsafe`select from ${sql.identifier(['ledger', current])}`,
    sql.unsafe`insert into ${sql.identifier(['ledger', current])} select * from ledger.movement`,
    sql.unsafe`update housekeeping.remembering_table set kept = '0'`,
    sql.unsafe`update housekeeping.generation set ended_at = '-infinity'`,
    sql.unsafe`insert into payments.idempotent_request (client_id, method, endpoint, key, request_hash, resource_id, created_at, generation)
      values ('third-party', 'POST', '/', 'mine', '', 'pay_1', now(), 1)`,
  ]
  for (const role of [bank.worker, bank.resourceApi])
    for (const attempt of attempts) await assert.rejects(role.query(attempt), (error) => sqlState(error) === '42501')
})

test('keys are looked for by index only, however empty their generation was when that was decided', async () => {
  const looking = await bank.owner.anyFirst(sql.unsafe`
    select oid::regproc::text from pg_proc
    where prosrc ~ 'from (ledger\\.movement|payments\\.idempotent_request) ' and not coalesce(proconfig @> array['enable_seqscan=off'], false)`)
  assert.deepEqual(looking, [])
})
