import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { proofUse } from '@bankside/bank/access/used-identifiers'
import { deliverEvents } from '@bankside/bank/events/deliver-events'
import { type EventId, newEventId } from '@bankside/bank/ids'
import { reconcile } from '@bankside/bank/ledger/reconcile'
import { openTestBank, type TestBank } from '@bankside/bank/payments/testing/test-bank'
import { createMetrics } from '@bankside/service-kit/metrics'
import { sql, sqlState, z } from '@bankside/service-kit/postgres'
import { openPrepared, type Prepared } from '@bankside/service-kit/prepared'
import { keepPartitions } from './keep-partitions.ts'
import { createWorkerMetrics } from './worker-metrics.ts'

const hourMs = 3_600_000
let bank: TestBank
let prepared: Prepared
const registry = createMetrics('worker')
const metrics = createWorkerMetrics(registry)

before(async () => {
  bank = await openTestBank()
  prepared = openPrepared(bank.urls.resourceApiUrl)
})
after(async () => {
  await prepared.end()
  await bank.close()
})

const now = () => new Date()
const keep = (at = now()) => keepPartitions(bank.worker, { now: at, metrics })
const partitions = async (table: string) =>
  (await bank.owner.anyFirst(sql.type(z.object({ name: z.string() }))`
    select inhrelid::regclass::text as name from pg_inherits where inhparent = ${table}::regclass order by 1`)) as string[]
const count = (table: string) => bank.owner.oneFirst(sql.unsafe`select count(*) from ${sql.identifier(table.split('.'))}`)
const gauge = async (name: string, table: string) =>
  (await registry.getSingleMetric(name)?.get())?.values.find(({ labels }) => labels['table'] === table)?.value
const hash = () => createHash('sha256').update(randomUUID()).digest('hex')

test('the worker’s role makes and drops partitions only as the plan says: no clock of its own makes it later than it is', async () => {
  const before = await partitions('events.event')
  await keep(new Date(now().getTime() + 20 * 365 * 24 * hourMs))
  await keep(new Date(0))
  assert.deepEqual(
    (await partitions('oidc.used_proof')).filter((name) => name.includes('1970')),
    [],
  )
  for (const name of before) assert.ok((await partitions('events.event')).includes(name), name)
  assert.ok((await partitions('events.event')).length < 30)
  for (const attempt of [
    sql.unsafe`select housekeeping.make_partition('events', 'event', '2001-01-01', '2001-02-01')`,
    sql.unsafe`update housekeeping.partitioned_table set kept = '0'`,
    sql.unsafe`delete from housekeeping.partition`,
    sql.unsafe`drop table events.event_first`,
    sql.unsafe`delete from events.event_first`,
    sql.unsafe`select * from events.event_first`,
    sql.unsafe`insert into oidc.used_proof select now(), ''`,
    sql.unsafe`delete from oidc.used_proof`,
  ])
    await assert.rejects(bank.worker.query(attempt), /permission denied|must be owner/)
})

test('DPOP-03 a proof is used once, also while its partition is made and when it has none', async () => {
  const use = proofUse(prepared)
  const later = new Date(now().getTime() + 40 * hourMs)
  const proofs = Array.from({ length: 20 }, hash)
  assert.deepEqual(await Promise.all(proofs.map((proof) => use(proof, later))), Array(20).fill(true))
  assert.equal(await count('oidc.used_proof_other'), 20n)
  const again = proofs.flatMap((proof) => [use(proof, later), use(proof, later)])
  await keep(new Date(now().getTime() + 18 * hourMs))
  assert.deepEqual(new Set(await Promise.all(again)), new Set([false]))
  assert.equal(await count('oidc.used_proof_other'), 0n)
  assert.deepEqual(new Set(await Promise.all(proofs.map((proof) => use(proof, later)))), new Set([false]))
  const raced = hash()
  assert.equal((await Promise.all(Array.from({ length: 8 }, () => use(raced, now())))).filter(Boolean).length, 1)
})

test('rows that find no partition are told of, and moved when it is made; two workers do not get in each other’s way', async () => {
  await bank.owner.query(sql.unsafe`
    insert into oidc.used_proof select date_trunc('hour', now()) + interval '300 days', '\\x01'::bytea from generate_series(1, 1)`)
  await Promise.all([keep(), keep(), keep()])
  assert.equal(await gauge('bankside_rows_without_partition', 'oidc.used_proof'), 0)
  const ahead = await gauge('bankside_partitions_made_ahead_seconds', 'oidc.used_proof')
  assert.ok(ahead !== undefined && ahead > 20 * 3_600, `${ahead}`)
  await bank.owner.query(sql.unsafe`delete from oidc.used_proof_other`)
  // As if no worker had run: the rest of this hour and of the next lost theirs.
  const at = new Date(Math.ceil(now().getTime() / hourMs) * hourMs + 30 * 24 * hourMs)
  await bank.owner.query(sql.unsafe`insert into oidc.used_proof values (${sql.timestamp(at)}, '\\x02'::bytea)`)
  await keep(new Date(at.getTime() + 1))
  assert.equal(await count('oidc.used_proof_other'), 0n)
  // A clock that was far ahead leaves no gap behind it.
  const soon = new Date(now().getTime() + 26 * hourMs)
  await keep(soon)
  await bank.owner.query(sql.unsafe`insert into oidc.used_proof values (date_trunc('hour', ${sql.timestamp(soon)}), '\\x03'::bytea)`)
  assert.equal(await count('oidc.used_proof_other'), 0n)
})

test('what has had its time goes with its partition; what waits or needs a person stays, and the books agree', async () => {
  const hour = (offset: number) => sql.fragment`date_trunc('hour', now(), 'UTC') + ${offset}::int * interval '1 hour'`
  // A database whose template was made before the hour was full has the last one already.
  for (const from of [-3, -1])
    await bank.owner.query(sql.unsafe`
      select housekeeping.make_partition('oidc', 'used_proof', ${hour(from)}, ${hour(from + 1)})
      where not exists (select from housekeeping.partition where table_name = 'used_proof' and from_time = ${hour(from)})`)
  const [old, recent] = (await partitions('oidc.used_proof')) as [string, string]
  const customerId = await bank.newCustomer()
  const insert = async (set: ReturnType<typeof sql.fragment>): Promise<EventId> => {
    const eventId = newEventId(new Date('2026-03-02T12:00:00Z'))
    await bank.owner.query(sql.unsafe`
      insert into events.event (event_id, type, subject, customer_id, payload, occurred_at, attempts, next_attempt_at, delivered_at, dead_at)
      select ${eventId}, 'test', ${eventId}, ${customerId}, '{}', now(), 0, ${set}`)
    return eventId
  }
  const delivered = await insert(sql.fragment`null, now(), null`)
  const waiting = await insert(sql.fragment`now(), null, null`)
  const dead = await insert(sql.fragment`null, null, now()`)
  const keptFor = (interval: ReturnType<typeof sql.fragment>) =>
    bank.owner.query(sql.unsafe`update housekeeping.partitioned_table set kept = ${interval} where table_name = 'event'`)
  // So long that the first partition, and none after it, has had its time.
  await keptFor(
    sql.fragment`now() - interval '1 minute' - (select before_time from housekeeping.partition where partition_name = 'event_first')`,
  )
  assert.equal(await keep(), 2)
  await keptFor(sql.fragment`interval '92 days'`)
  assert.ok(!(await partitions('oidc.used_proof')).includes(old))
  assert.ok((await partitions('oidc.used_proof')).includes(recent))
  assert.equal(await keep(), 0)
  const left = await bank.owner.anyFirst(sql.unsafe`select event_id from events.event`)
  assert.deepEqual(new Set(left), new Set([waiting, dead]))
  assert.ok(!left.includes(delivered))
  assert.equal(await deliverEvents(bank.worker, { now: now(), limit: 10 }), 1)
  assert.equal(await bank.owner.oneFirst(sql.unsafe`select count(*) from events.notification where event_id = ${waiting}`), 1n)
  assert.deepEqual(await reconcile(bank.worker), [])
})

test('what can never be begun or counted is told of, and does not stand in the way of the others', async () => {
  const owner = (query: ReturnType<typeof sql.unsafe>) => bank.owner.query(query)
  const last = async () =>
    (await bank.owner.any(
      sql.unsafe`select schema_name, table_name, max(generation) as last from housekeeping.generation group by 1, 2 order by 2`,
    )) as readonly { schema_name: string; table_name: string; last: number }[]
  const before = await last()
  const [stuck] = before
  assert.ok(stuck)
  // Both are the first of their kind: the name of the next generation is taken, and to count the table is an error.
  await owner(sql.unsafe`
    update housekeeping.generation set begun_at = begun_at - case table_name when ${stuck.table_name} then interval '3 days' else interval '2 days' end`)
  await owner(sql.unsafe`create table ${sql.identifier([stuck.schema_name, `${stuck.table_name}_${stuck.last + 1}`])} ()`)
  await owner(sql.unsafe`create function public.fails(n integer) returns integer language sql immutable as 'select n'`)
  await owner(sql.unsafe`create table public.a_first (n integer) partition by list (n)`)
  await owner(sql.unsafe`create table public.a_first_1 partition of public.a_first for values in (1)`)
  await owner(sql.unsafe`create index on public.a_first (public.fails(n))`)
  await owner(sql.unsafe`insert into public.a_first values (1)`)
  await owner(sql.unsafe`create or replace function public.fails(n integer) returns integer language sql immutable as 'select n / 0'`)
  await owner(sql.unsafe`delete from housekeeping.analysed_table`)
  await assert.rejects(keep(), ({ errors }: AggregateError) => {
    assert.deepEqual(
      errors.map((error) => sqlState(error)),
      ['42P07', '22012'],
    )
    return true
  })
  assert.deepEqual(
    (await last()).map((one, index) => one.last - (before[index]?.last ?? 0)),
    [0, 1],
  )
  assert.ok(((await count('housekeeping.analysed_table')) as bigint) > 3n)
})
