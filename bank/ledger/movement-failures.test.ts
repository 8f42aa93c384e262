import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '@bankside/service-kit/clock'
import { sql } from '@bankside/service-kit/postgres'
import { Unavailable } from '@bankside/service-kit/refusal'
import pg from 'pg'
import type { AccountId } from '../ids.ts'
import { gbp, openTestBank, type TestBank } from '../payments/testing/test-bank.ts'
import type { Movement, MovementOutcome } from './movement.ts'
import { movementKey } from './movement-key.ts'
import { type MovementWriter, type MovementWriterOptions, openMovementWriter } from './movement-writer.ts'
import { reconcile } from './reconcile.ts'

let bank: TestBank
let ann: AccountId
let ben: AccountId
const writers: MovementWriter[] = []
before(async () => {
  bank = await openTestBank()
  ann = await bank.newAccount({ funds: 100_000n })
  ben = await bank.newAccount({ funds: 100_000n })
})
afterEach(async () => {
  for (const writer of writers.splice(0)) await writer.close()
  assert.deepEqual(await reconcile(bank.worker), [])
})
after(() => bank.close())

const open = (options: Partial<MovementWriterOptions> = {}) => {
  const writer = openMovementWriter(bank.urls.ledgerUrl, { clock: systemClock, ...options })
  writers.push(writer)
  return writer
}
const pay = (from: AccountId, to: AccountId, key: string = randomUUID()): Movement => ({
  key: movementKey({ clientId: 'test', method: 'COMMAND', endpoint: 'test', key, request: null }),
  operations: [{ kind: 'transfer', from, to, amount: gbp(1), description: 'd', reference: 'r' }],
  actor: 'test',
})
const isMade = (outcome: MovementOutcome) => 'made' in outcome
const posted = async (account: AccountId) =>
  Number(await bank.owner.oneFirst(sql.unsafe`select posted_minor from ledger.account where account_id = ${account}`))
const connect = async () => {
  const client = new pg.Client({ connectionString: bank.urls.ownerUrl })
  await client.connect()
  return client
}
/** What the writers' connections are set to from now on, in this database alone. */
const setting = (text: string) => ownerSays(`alter role bankside_ledger in database ${databaseName()} ${text}`)
const databaseName = () => new URL(bank.urls.ownerUrl).pathname.slice(1)
const ownerSays = async (text: string) => {
  const client = await connect()
  await client.query(text)
  await client.end()
}

test('two processes that pay each other back and forth do not deadlock, and lose nothing', async () => {
  const [one, other] = [open(), open()]
  const before = [await posted(ann), await posted(ben)]
  const outcomes = await Promise.all(
    Array.from({ length: 600 }, (_, index) => (index % 2 === 0 ? one.write(pay(ann, ben)) : other.write(pay(ben, ann)))),
  )
  assert.ok(outcomes.every(isMade))
  assert.deepEqual([await posted(ann), await posted(ben)], before)
})

test('two processes with one key make one movement', async () => {
  const [one, other] = [open(), open()]
  for (let round = 0; round < 20; round++) {
    const asked = pay(ann, ben)
    const outcomes = await Promise.all([one.write(asked), other.write(asked), one.write(asked), other.write(asked)])
    const made = outcomes.map((outcome) => ('made' in outcome ? outcome.made[0] : outcome.declined))
    assert.equal(new Set(made).size, 1, String(made))
    assert.equal(outcomes.filter((outcome) => 'made' in outcome && !outcome.replayed).length, 1)
  }
})

test('a deadlock that somebody else brings about is resolved by asking again', async () => {
  const [low, high] = [ann, ben].sort() as [AccountId, AccountId]
  const rival = await connect()
  await rival.query(`begin; set local deadlock_timeout = '60s'`)
  await rival.query('select from ledger.account where account_id = $1 for update', [high])
  const writing = open().write(pay(low, high))
  await sleep(300)
  await rival.query('select from ledger.account where account_id = $1 for update', [low])
  await rival.query('commit')
  await rival.end()
  assert.ok(isMade(await writing))
})

test('where every transaction is serializable, conflicts are asked again, and the books agree', async () => {
  await setting(`set default_transaction_isolation = 'serializable'`)
  const [one, other] = [open(), open()]
  const outcomes = await Promise.allSettled(Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? one : other).write(pay(ann, ben))))
  await setting('reset default_transaction_isolation')
  const failed = outcomes.filter((outcome) => outcome.status === 'rejected')
  assert.ok(
    failed.every(({ reason }) => reason instanceof Unavailable),
    String(failed[0]?.reason),
  )
  assert.ok(failed.length < 100, `${failed.length} were unavailable`)
})

test('connections that are cut under load are opened again: each movement is made, and once', async () => {
  const writer = open()
  const before = await posted(ben)
  let cutting = true
  const cuts = (async () => {
    while (cutting) {
      await bank.owner.query(
        sql.unsafe`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'bankside_ledger' and datname = current_database()`,
      )
      await sleep(40)
    }
  })()
  let made = 0
  for (let round = 0; round < 5; round++) {
    const asked = Array.from({ length: 30 }, () => pay(ann, ben))
    for (let left = asked; left.length > 0; ) {
      const outcomes = await Promise.allSettled(left.map((one) => writer.write(one)))
      made += outcomes.filter((outcome) => outcome.status === 'fulfilled' && isMade(outcome.value)).length
      assert.ok(outcomes.every((outcome) => outcome.status === 'fulfilled' || outcome.reason instanceof Unavailable))
      left = left.filter((_, index) => outcomes[index]?.status === 'rejected')
    }
  }
  cutting = false
  await cuts
  assert.equal(made, 150)
  assert.equal(await posted(ben), before + 150)
})

test('a full disk and a read-only server are "not now"; afterwards the same key makes the movement', async () => {
  const writer = open()
  await ownerSays(`create function public.disk_is_full() returns trigger language plpgsql as $$ begin raise exception 'could not extend file' using errcode = '53100'; end $$;
    create trigger disk_is_full before insert on ledger.posting for each statement execute function public.disk_is_full()`)
  const asked = [pay(ann, ben), pay(ben, ann)]
  for (const outcome of await Promise.allSettled(asked.map((one) => writer.write(one))))
    assert.ok(outcome.status === 'rejected' && outcome.reason instanceof Unavailable)
  await ownerSays('drop trigger disk_is_full on ledger.posting')
  assert.ok((await Promise.all(asked.map((one) => writer.write(one)))).every(isMade))

  await setting('set default_transaction_read_only = on')
  await assert.rejects(open().write(pay(ann, ben)), Unavailable)
  await setting('reset default_transaction_read_only')
  assert.ok(isMade(await open().write(pay(ann, ben))))
})

test('nobody there is "not now"', async () => {
  const writer = openMovementWriter('postgresql://nobody:x@127.0.0.1:1/none', { clock: systemClock })
  await assert.rejects(writer.write(pay(ann, ben)), Unavailable)
  await writer.close()
})

test('what is too much is turned away at once, and what waits too long when it has; what is under way is answered', async () => {
  const writer = open({ waitingAtMost: 3, waitAtMostMs: 700, movementsPerCall: 1 })
  const rival = await connect()
  await rival.query('begin')
  await rival.query('select from ledger.account where account_id = $1 for update', [ann])
  const underWay = writer.write(pay(ann, ben))
  await sleep(50)
  const waiting = Array.from({ length: 3 }, () => writer.write(pay(ann, ben)))
  await sleep(50)
  await assert.rejects(writer.write(pay(ann, ben)), /too many/)
  for (const outcome of await Promise.allSettled(waiting)) assert.match(String(outcome.status === 'rejected' && outcome.reason), /too busy/)
  await rival.query('commit')
  await rival.end()
  assert.ok(isMade(await underWay))
})
