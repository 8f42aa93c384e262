import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { freePorts } from './free-ports.ts'
import {
  type Database,
  NotFoundError,
  openDatabase,
  outsideTransaction,
  reading,
  sql,
  sqlState,
  transact,
  violatedConstraint,
  withValues,
  z,
} from './postgres.ts'
import { openPrepared, type Prepared } from './prepared.ts'
import { Unavailable } from './refusal.ts'
import { createTestDatabase, type TestDatabase } from './test-database.ts'

let testDatabase: TestDatabase
let database: Database
let prepared: Prepared

before(async () => {
  testDatabase = await createTestDatabase()
  database = await openDatabase(testDatabase.ownerUrl)
  prepared = openPrepared(testDatabase.ownerUrl, { maxConnections: 1 })
  await database.query(
    sql.unsafe`create table counter (id int, n int, constraint counter_has_one_row_per_id primary key (id), constraint counter_not_negative check (n >= 0))`,
  )
  await database.query(sql.unsafe`insert into counter values (1, 0), (2, 0)`)
})
after(async () => {
  await prepared?.end()
  await database?.end()
  await testDatabase?.drop()
})

const terminate = sql.unsafe`select pg_terminate_backend(pg_backend_pid())`

test('a row of another shape than its schema says is refused', async () => {
  await assert.rejects(database.one(sql.type(z.object({ n: z.string() }))`select 1 as n`), /does not match its schema/)
})

test('a constraint that is violated is known by its name, wherever PostgreSQL or slonik puts it', async () => {
  const attempts = [
    [sql.unsafe`insert into counter values (1, 1)`, 'counter_has_one_row_per_id', '23505'],
    [sql.unsafe`insert into counter values (3, -1)`, 'counter_not_negative', '23514'],
    [
      sql.unsafe`do $$ begin raise exception 'no' using errcode = '42501', constraint = 'raised_by_a_trigger'; end $$`,
      'raised_by_a_trigger',
      '42501',
    ],
    [sql.unsafe`insert into no_such_table values (1)`, undefined, '42P01'],
  ] as const
  for (const [query, constraint, state] of attempts) {
    await assert.rejects(
      transact(database, (tx) => tx.query(query)),
      (error) => {
        assert.equal(violatedConstraint(error), constraint)
        assert.equal(sqlState(error), state)
        assert.ok(!(error instanceof Unavailable))
        return true
      },
    )
  }
})

test('whole numbers arrive as bigint, instants as Date, days as text, json parsed; bigint goes in as it is', async () => {
  const all = z.object({
    n: z.bigint(),
    i: z.bigint(),
    t: z.date(),
    d: z.string(),
    list: z.array(z.bigint()),
    j: z.object({ a: z.number() }),
    b: z.instanceof(Buffer),
  })
  const huge = 12_345_678_901_234_567_890_123_456_789n
  const at = new Date('2026-11-21T09:00:00.123Z')
  const row = await database.one(sql.type(all)`
    select ${huge}::numeric as n, 9007199254740993 as i, ${sql.timestamp(at)} as t, date '2026-11-21' as d, array[1, 2]::numeric[] as list,
      ${sql.jsonb({ a: 1 })} as j, ${sql.binary(Buffer.from('ab'))}::bytea as b`)
  assert.deepEqual(row, { n: huge, i: 9_007_199_254_740_993n, t: at, d: '2026-11-21', list: [1n, 2n], j: { a: 1 }, b: Buffer.from('ab') })
})

test('a numeric that is not a whole number is an error, never a rounded amount', async () => {
  await assert.rejects(database.one(sql.type(z.object({ n: z.bigint() }))`select 1.5 as n`))
})

test('transactions that PostgreSQL asks to repeat are repeated: eight read and write back one row, serializable, and none is lost', async () => {
  const add = () =>
    transact(database, async (tx) => {
      await tx.query(sql.unsafe`set transaction isolation level serializable`)
      const { n } = await tx.one(sql.type(z.object({ n: z.number() }))`select n from counter where id = 1`)
      await tx.query(sql.unsafe`update counter set n = ${n + 1} where id = 1`)
    })
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, add))
  const done = outcomes.filter(({ status }) => status === 'fulfilled').length
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') assert.ok(outcome.reason instanceof Unavailable, 'after its attempts it is told to come back')
  assert.ok(done > 1)
  assert.equal(await database.oneFirst(sql.type(z.object({ n: z.number() }))`select n from counter where id = 1`), done)
})

test('a deadlock is repeated', async () => {
  const met = Promise.withResolvers<void>()
  let waiting = 0
  const meet = async () => {
    waiting += 1
    if (waiting === 2) met.resolve()
    await met.promise
  }
  // Who is repeated waits for the other one: at once it could be first at its row again, and there would be a second deadlock.
  const through = Promise.withResolvers<void>()
  const both = async (first: number, second: number) => {
    let attempt = 0
    const attempts = await transact(database, async (tx) => {
      attempt += 1
      if (attempt > 1) await through.promise
      await tx.query(sql.unsafe`update counter set n = n + 1 where id = ${first}`)
      if (attempt === 1) await meet()
      await tx.query(sql.unsafe`update counter set n = n + 1 where id = ${second}`)
      return attempt
    })
    through.resolve()
    return attempts
  }
  const attempts = await Promise.all([both(1, 2), both(2, 1)])
  assert.deepEqual(attempts.toSorted(), [1, 2])
})

test('what was thrown in a transaction comes out as it is, and nothing of the transaction stays', async () => {
  const thrown = new Error('mine')
  const work = transact(database, async (tx) => {
    await tx.query(sql.unsafe`insert into counter values (9, 9)`)
    throw thrown
  })
  await assert.rejects(work, (error) => error === thrown)
  assert.equal(await database.maybeOne(sql.unsafe`select from counter where id = 9`), null)
})

test('a refused transaction keeps its connection: the next one is no slower', async () => {
  const one = await openDatabase(testDatabase.ownerUrl, { maxConnections: 1 })
  const pid = (tx: Pick<Database, 'oneFirst'>) => tx.oneFirst(sql.type(z.object({ pid: z.number() }))`select pg_backend_pid() as pid`)
  try {
    const first = await transact(one, pid)
    await assert.rejects(
      transact(one, async () => {
        throw new Error('no')
      }),
      /no/,
    )
    await assert.rejects(transact(one, (tx) => tx.query(sql.unsafe`insert into counter values (1, 1)`)))
    assert.equal(await transact(one, pid), first)
  } finally {
    await one.end()
  }
})

test('a connection that is lost is unavailability, and the next transaction works', async () => {
  await assert.rejects(
    transact(database, (tx) => tx.query(terminate)),
    Unavailable,
  )
  await assert.rejects(reading(database.query(terminate)), Unavailable)
  assert.equal(await transact(database, (tx) => tx.oneFirst(sql.type(z.object({ n: z.number() }))`select 1 as n`)), 1)
})

test('a server that is not there, a statement that takes too long, a read-only server: unavailability', async () => {
  const nobody = `postgresql://a:b@127.0.0.1:${await freePorts()}/x`
  await assert.rejects(openDatabase(nobody), Unavailable)
  await assert.rejects(openPrepared(nobody).query('one', 'select 1'), Unavailable)
  const impatient = await openDatabase(testDatabase.ownerUrl, { statementTimeoutMs: 50 })
  await assert.rejects(
    transact(impatient, (tx) => tx.query(sql.unsafe`select pg_sleep(2)`)),
    Unavailable,
  )
  await impatient.end()
  const readOnly = transact(database, async (tx) => {
    await tx.query(sql.unsafe`set transaction read only`)
    await tx.query(sql.unsafe`update counter set n = 0`)
  })
  await assert.rejects(readOnly, Unavailable)
})

test('a server that ends connections while they are being made: unavailability; a wrong password: a fault', async () => {
  const ending = createServer((socket) => socket.once('data', () => socket.destroy())).listen(0, '127.0.0.1')
  await once(ending, 'listening')
  const { port } = ending.address() as AddressInfo
  const dying = openPrepared(`postgresql://nobody:x@127.0.0.1:${port}/none`)
  await assert.rejects(dying.query('ending', 'select 1'), Unavailable)
  await dying.end()
  ending.close()
  const stranger = openPrepared(testDatabase.ownerUrl.replace(/:[^:@]*@/, ':wrong@'))
  await assert.rejects(stranger.query('stranger', 'select 1'), (error) => sqlState(error) === '28P01' && !(error instanceof Unavailable))
  await stranger.end()
})

test('a wrong value is a fault, not unavailability', async () => {
  await assert.rejects(
    transact(database, (tx) => tx.query(sql.unsafe`select 'x'::int`)),
    (error) => !(error instanceof Unavailable),
  )
})

test('prepared: the same types, a name per text, and a connection that survives an error of a statement', async () => {
  const text = `select $1::numeric as n, 9007199254740993 as i, timestamptz '2026-11-21 09:00Z' as t, date '2026-11-21' as d, pg_backend_pid() as pid`
  const [first] = await prepared.query<{ n: bigint; pid: number }>('types', text, ['12345678901234567890'])
  assert.deepEqual(
    { ...first, pid: 0 },
    { n: 12_345_678_901_234_567_890n, i: 9_007_199_254_740_993n, t: new Date('2026-11-21T09:00:00Z'), d: '2026-11-21', pid: 0 },
  )
  await assert.rejects(prepared.query('types', 'select 1'), /two texts/)
  await assert.rejects(
    prepared.query('duplicate', 'insert into counter values ($1, 0)', [1]),
    (error) => violatedConstraint(error) === 'counter_has_one_row_per_id',
  )
  const [second] = await prepared.query<{ pid: number }>('types', text, ['1'])
  assert.equal(second?.pid, first?.pid)
})

test('prepared: a connection that is lost is unavailability, and is replaced', async () => {
  await assert.rejects(prepared.query('end', 'select pg_terminate_backend(pg_backend_pid())'), Unavailable)
  assert.deepEqual(await prepared.query('one', 'select 1 as n'), [{ n: 1 }])
})

test('prepared: an idle connection that the server closes does not end the process', async () => {
  const [own] = await prepared.query<{ pid: number }>('pid', 'select pg_backend_pid() as pid')
  const administrator = new pg.Client(testDatabase.ownerUrl)
  await administrator.connect()
  await administrator.query('select pg_terminate_backend($1)', [own?.pid])
  await administrator.end()
  await new Promise((done) => setTimeout(done, 100))
  assert.deepEqual(await prepared.query('one', 'select 1 as n'), [{ n: 1 }])
})

const counted = sql.type(z.object({ n: z.number() }))

test('outside a transaction: the same rows, checks and types as inside one', async () => {
  const all = z.object({
    n: z.bigint(),
    t: z.date(),
    d: z.string(),
    list: z.array(z.bigint()),
    j: z.object({ a: z.number() }),
    b: z.instanceof(Buffer),
  })
  const at = new Date('2026-11-21T09:00:00.123Z')
  const query = sql.type(all)`
    select ${12_345_678_901_234_567_890n}::numeric as n, ${sql.timestamp(at)} as t, date '2026-11-21' as d, array[1, 2]::numeric[] as list,
      ${sql.jsonb({ a: 1 })} as j, ${sql.binary(Buffer.from('ab'))}::bytea as b`
  assert.deepEqual(await outsideTransaction(database, (tx) => tx.one(query)), await transact(database, (tx) => tx.one(query)))
  await outsideTransaction(database, async (tx) => {
    assert.deepEqual(await tx.any(counted`select n from generate_series(1, ${3}) n`), [{ n: 1 }, { n: 2 }, { n: 3 }])
    assert.deepEqual(await tx.anyFirst(counted`select n from unnest(${sql.array([4, 5], 'int4')}) n`), [4, 5])
    assert.equal(await tx.oneFirst(counted`select 1 as n`), 1)
    assert.equal(await tx.maybeOne(counted`select 1 as n where ${false}`), null)
    assert.equal(await tx.exists(sql.unsafe`select from counter where id = ${1}`), true)
    assert.equal(await tx.exists(sql.unsafe`select from counter where id = ${77}`), false)
    await assert.rejects(tx.one(counted`select 1 as n where ${false}`), NotFoundError)
    await assert.rejects(tx.maybeOne(counted`select n from generate_series(1, ${2}) n`), /more than one row/)
    await assert.rejects(tx.one(sql.type(z.object({ n: z.string() }))`select ${1}::int as n`), /does not match its schema/)
    await assert.rejects(tx.query(sql.unsafe`insert into counter values (${1}, 1)`), (error) => {
      assert.equal(violatedConstraint(error), 'counter_has_one_row_per_id')
      return !(error instanceof Unavailable)
    })
  })
})

test('arrays of text arrive as they were, whatever stands in them', async () => {
  const lists = [[], ['one', 'two'], ['NULL', null, 'null'], ['a,b', '{}', '"', '\\', '', ' ', 'é'], [null]]
  for (const list of lists)
    assert.deepEqual(
      await outsideTransaction(database, (tx) =>
        tx.oneFirst(withValues(sql.type(z.object({ list: z.array(z.string().nullable()) }))`select ${null}::text[] as list`, [list])),
      ),
      list,
    )
})

test('outside a transaction: many share a connection, each has its own answer, and one that fails spoils no other', async () => {
  const answers = await Promise.allSettled(
    Array.from({ length: 60 }, (_, index) => outsideTransaction(database, (tx) => tx.oneFirst(counted`select 60 / (${index} % 7) as n`))),
  )
  for (const [index, answer] of answers.entries())
    if (index % 7 === 0) assert.equal(answer.status === 'rejected' && sqlState(answer.reason), '22012')
    else assert.equal(answer.status === 'fulfilled' && answer.value, Math.floor(60 / (index % 7)))
})

test('outside a transaction: a read does not wait behind a change that waits for a lock', async () => {
  const locked = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  const holding = transact(database, async (tx) => {
    await tx.query(sql.unsafe`update counter set n = n where id = 2`)
    locked.resolve()
    await release.promise
  })
  await locked.promise
  const change = outsideTransaction(database, (tx) => tx.query(sql.unsafe`update counter set n = ${5} where id = 2`))
  const read = () => outsideTransaction(database, (tx) => tx.oneFirst(counted`select n from counter where id = ${2}`))
  assert.notEqual(await read(), 5)
  release.resolve()
  await Promise.all([holding, change])
  assert.equal(await read(), 5)
})

test('outside a transaction: whatever was asked of a connection that is lost is unavailability, and the next one works', async () => {
  const reads = Array.from({ length: 8 }, () => outsideTransaction(database, (tx) => tx.oneFirst(counted`select 1 as n, pg_sleep(${0.2})`)))
  const end = outsideTransaction(database, (tx) =>
    tx.query(sql.unsafe`select pg_terminate_backend(pid) from pg_stat_activity where pid = pg_backend_pid() and ${true}`),
  )
  const outcomes = await Promise.allSettled([...reads, end])
  const refusals = outcomes.filter((outcome) => outcome.status === 'rejected')
  assert.ok(refusals.length >= 1)
  for (const { reason } of refusals) assert.ok(reason instanceof Unavailable, String(reason))
  assert.equal(await outsideTransaction(database, (tx) => tx.oneFirst(counted`select 1 as n`)), 1)
})

test('a transaction that goes on after a statement failed is told that nothing of it was kept', async () => {
  const work = transact(database, async (tx) => {
    await tx.query(sql.unsafe`insert into counter values (8, 8)`)
    await tx.query(sql.unsafe`insert into counter values (1, 1)`).catch(() => {})
  })
  await assert.rejects(work, /went on after/)
  assert.equal(await database.maybeOne(sql.unsafe`select from counter where id = 8`), null)
})

test('transactions wait for a connection in turn, and not for ever', async () => {
  const narrow = await openDatabase(testDatabase.ownerUrl, { maxConnections: 2, connectTimeoutMs: 300 })
  try {
    const order: number[] = []
    await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        transact(narrow, async (tx) => {
          await tx.query(sql.unsafe`select 1`)
          order.push(index)
        }),
      ),
    )
    assert.deepEqual(
      order.toSorted((one, other) => one - other),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    )
    const slow = () => transact(narrow, (tx) => tx.query(sql.unsafe`select pg_sleep(1)`))
    const outcomes = await Promise.allSettled([slow(), slow(), slow()])
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected'],
    )
    assert.ok((outcomes[2] as PromiseRejectedResult).reason instanceof Unavailable)
    await assert.rejects(
      transact(narrow, (tx) => tx.query(terminate)),
      Unavailable,
    )
    await Promise.all([1, 2, 3].map(() => transact(narrow, (tx) => tx.query(sql.unsafe`select 1`))))
  } finally {
    await narrow.end()
  }
})

test('only what may be lost does not wait for the disk', async () => {
  const both = openPrepared(testDatabase.ownerUrl)
  try {
    const ask = (how: { mayBeLost?: boolean }) =>
      both.query<{ source: string }>(
        undefined,
        `update counter set n = n where id = 1 returning (select source from pg_settings where name = 'synchronous_commit') as source`,
        [],
        how,
      )
    const [kept, lost] = [await ask({}), await ask({ mayBeLost: true })]
    assert.notEqual(kept[0]?.source, 'client')
    assert.equal(lost[0]?.source, 'client')
  } finally {
    await both.end()
  }
})
