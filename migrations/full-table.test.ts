import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { newAccountId, newEventId } from '@bankside/bank/ids'
import { movementKey } from '@bankside/bank/ledger/movement-key'
import { openMovementWriter } from '@bankside/bank/ledger/movement-writer'
import { systemClock } from '@bankside/service-kit/clock'
import { migrate } from '@bankside/service-kit/migrate'
import { setRolePasswords, urlAs } from '@bankside/service-kit/role-passwords'
import { testPostgresUrl } from '@bankside/service-kit/test-postgres'
import pg from 'pg'

/** From here on, tables may be full. */
const first = '0190'
const events = 30_000
let server: pg.Client
let owner: pg.Client
let ownerUrl: string
let name: string
let earlier: string

before(async () => {
  const serverUrl = await testPostgresUrl()
  server = new pg.Client(serverUrl)
  await server.connect()
  name = `bankside_full_${randomUUID().slice(0, 8)}`
  await server.query(`create database ${name}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  ownerUrl = url.href
  earlier = mkdtempSync(join(tmpdir(), 'bankside-earlier-'))
  for (const file of readdirSync(import.meta.dirname).filter((one) => one.endsWith('.sql') && one < first))
    copyFileSync(join(import.meta.dirname, file), join(earlier, file))
  await migrate(ownerUrl, earlier)
  await setRolePasswords(ownerUrl)
  owner = new pg.Client(ownerUrl)
  await owner.connect()
  await owner.query(
    `insert into events.event (event_id, type, subject, payload, occurred_at, attempts, delivered_at)
     select 'evt_' || lpad(to_hex((extract(epoch from now()) * 1000)::bigint - n), 12, '0') || substr(md5(n::text), 1, 20), 'filler', 'sub_' || n, '{}', now(), 1, now()
     from generate_series(1, $1::int) n`,
    [events],
  )
  // From before ids began with their time.
  await owner.query(
    `insert into events.event (event_id, type, subject, payload, occurred_at, attempts, delivered_at)
     values ('evt_' || repeat('f', 32), 'early', 'sub_early', '{}', '2026-03-02T12:00:00Z', 1, now())`,
  )
  await owner.query(
    `insert into audit.record (record_id, occurred_at, actor, action, subject, details)
     select 'aud_' || repeat(digit, 32), '2026-03-02T12:00:00Z', 'early', 'early', 'sub_early', '{}' from unnest(array['0', 'f']) digit`,
  )
  await owner.query(
    `insert into customers.customer values ('cus_' || repeat('a', 32), 'early', '', '', 'Early', 'early@example.test', true, '', now());
     insert into events.notification values ('evt_' || repeat('f', 32), 'cus_' || repeat('a', 32), '2026-03-02T12:00:00Z', 'early', '{}')`,
  )
})
after(async () => {
  await owner.end()
  await server.query(`drop database if exists ${name} with (force)`)
  await server.end()
  rmSync(earlier, { recursive: true, force: true })
})

test('a full table is migrated while payments run: none fails, none waits long, none is lost, and nothing is copied', async () => {
  const accounts = [newAccountId(), newAccountId()] as const
  for (const account of accounts)
    await owner.query(`select ledger.open_account($1, null, 'settlement', 'GBP', 'Load', 'Load', 'OTHR', null, null, null, 0, now())`, [
      account,
    ])
  // A payment that waits for a lock for two seconds fails, and so does this test.
  await owner.query(`alter role bankside_ledger in database ${name} set lock_timeout = '2s'`)
  const ledger = openMovementWriter(urlAs(ownerUrl, 'bankside_ledger'), { clock: systemClock })
  const known = {
    key: movementKey({ clientId: 'test', method: 'COMMAND', endpoint: 'test', key: 'known', request: null }),
    actor: 'test',
    operations: [
      { kind: 'transfer', from: accounts[0], to: accounts[1], amount: { minor: 7n, currency: 'GBP' }, description: 'd', reference: 'r' },
    ],
  } as const
  const first7 = await ledger.write(known)
  const filesOf = async (tables: readonly string[]) =>
    (
      await owner.query(
        'select array_agg(pg_relation_filenode(name::regclass) order by place) as files from unnest($1::text[]) with ordinality t (name, place)',
        [tables],
      )
    ).rows[0].files as string[]
  const full = Object.fromEntries([
    ['ledger.movement', 'ledger.movement_1'],
    ...['events.event', 'ledger.entry', 'ledger.posting', 'ledger.exchange', 'ledger.hold', 'audit.record', 'payments.spent'].map(
      (table) => [table, `${table}_first`],
    ),
  ])
  const files = await filesOf(Object.keys(full))

  let migrated = false
  let paid = 0
  const pay = async (from: (typeof accounts)[number], to: (typeof accounts)[number]) => {
    // What happens is told of as well.
    const teller = new pg.Client({ connectionString: ownerUrl, options: '-c lock_timeout=2s' })
    await teller.connect()
    while (!migrated || paid < 20) {
      const key = movementKey({ clientId: 'test', method: 'COMMAND', endpoint: 'test', key: randomUUID(), request: null })
      const amount = { minor: 1n, currency: 'GBP' } as const
      const outcome = await ledger.write({
        key,
        actor: 'test',
        operations: [{ kind: 'transfer', from, to, amount, description: 'd', reference: 'r' }],
      })
      assert.ok('made' in outcome, JSON.stringify(outcome))
      await teller.query(
        `insert into events.event (event_id, type, subject, payload, occurred_at, attempts, next_attempt_at) values ($1, 'paid', $2, '{}', now(), 0, now())`,
        [newEventId(new Date()), outcome.made[0]],
      )
      paid++
    }
    await teller.end()
  }
  const paying = Promise.all([pay(...accounts), pay(accounts[1], accounts[0]), pay(...accounts)])
  // Somebody reads, slowly: what would lock them out must neither wait for them nor make payments wait behind it.
  const reader = new pg.Client(ownerUrl)
  await reader.connect()
  const reading = reader.query('select count(*), pg_sleep(1.5) from events.event')
  const applied = await Promise.race([migrate(ownerUrl, import.meta.dirname, { lockTimeoutMs: 300 }), paying.then(() => [])])
  migrated = true
  await paying
  await reading
  await reader.end()
  // A key from before is of the first generation, and known.
  assert.deepEqual(await ledger.write(known), { ...first7, replayed: true })
  await ledger.close()

  assert.ok(applied.includes('0192_events_in_partitions.sql'), applied.join(' '))
  assert.deepEqual(await filesOf(Object.values(full)), files)
  const { rows } = await owner.query(
    `select count(*) filter (where type = 'filler')::int as old, count(*) = count(distinct event_number) as numbered,
       count(*) filter (where type = 'paid')::int as told from events.event`,
  )
  assert.deepEqual(rows, [{ old: events, numbered: true, told: paid }])
  const early = await owner.query(`select event_id from events.event join events.notification using (event_id) where event.type = 'early'`)
  assert.deepEqual(early.rows, [{ event_id: `evt_${Date.parse('2026-03-02T12:00:00Z').toString(16).padStart(12, '0')}${'f'.repeat(20)}` }])
  // Sealed, so left as it is: it lies where what has no partition does.
  const records = await owner.query(
    `select tableoid::regclass::text as partition from audit.record where action = 'early' order by record_id`,
  )
  assert.deepEqual(
    records.rows.map(({ partition }) => partition),
    ['audit.record_first', 'audit.record_other'],
  )
  assert.equal((await owner.query(`select count(*)::int as n from ledger.entry`)).rows[0].n, paid + 1)
})
