import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AccessDecision } from '@bankside/bank/access/decide-access'
import { getPastBalance } from '@bankside/bank/accounts/get-past-balance'
import { listTransactions } from '@bankside/bank/accounts/list-transactions'
import { type AuditedBank, openAuditedBank } from '@bankside/bank/audit/testing/audited-bank'
import { type AccountId, type EntryId, newAuditRecordId } from '@bankside/bank/ids'
import type { MovementOutcome, Operation } from '@bankside/bank/ledger/movement'
import { movementKey } from '@bankside/bank/ledger/movement-key'
import { type MovementWriter, openMovementWriter } from '@bankside/bank/ledger/movement-writer'
import { reconcile } from '@bankside/bank/ledger/reconcile'
import { gbp, later } from '@bankside/bank/payments/testing/test-bank'
import { createMetrics } from '@bankside/service-kit/metrics'
import { lockNotAvailable, sql, sqlState, transact, violatedConstraint } from '@bankside/service-kit/postgres'
import { keepPartitions } from './keep-partitions.ts'
import { createWorkerMetrics } from './worker-metrics.ts'

let bank: AuditedBank
let ann: AccountId
let ben: AccountId
/** Where the first partition of the books ends. */
let newYear: Date
before(async () => {
  bank = await openAuditedBank()
  ;[ann, ben] = [await bank.newAccount({ funds: 10_000n }), await bank.newAccount({ funds: 10_000n })]
  newYear = (await bank.owner.oneFirst(
    sql.unsafe`select before_time from housekeeping.partition where partition_name = 'posting_first'`,
  )) as Date
})
after(() => bank.close())

const words = { description: 'd', reference: 'r' } as const
const newYearAnd = (ms: number) => new Date(newYear.getTime() + ms)
/** A process whose clock is so far from the end of the year. */
const clockAt = (ms: number): MovementWriter => openMovementWriter(bank.urls.ledgerUrl, { clock: { now: () => newYearAnd(ms) } })
const write = (writer: MovementWriter, operation: Operation) =>
  writer.write({
    key: movementKey({ clientId: 'test', method: 'COMMAND', endpoint: 'test', key: randomUUID(), request: null }),
    operations: [operation],
    actor: 'test',
  })
const pay = (writer: MovementWriter, from: AccountId, to: AccountId) =>
  write(writer, { kind: 'transfer', from, to, amount: gbp(1), ...words })
const madeBy = (outcome: MovementOutcome): EntryId => {
  assert.ok('made' in outcome, JSON.stringify(outcome))
  return outcome.made[0] as EntryId
}
const rowsIn = async (partition: string) =>
  Number(await bank.owner.oneFirst(sql.unsafe`select count(*) from ${sql.identifier(partition.split('.'))}`))
const access = (account: AccountId) =>
  ({
    accounts: new Set([account]),
    permissions: new Set(['ReadBalances', 'ReadTransactionsDetail', 'ReadTransactionsCredits', 'ReadTransactionsDebits']),
    window: {},
  }) as unknown as AccessDecision
/** As the worker does: what cannot be had soon is tried again. */
const makeNextYear = async () => {
  for (const [schema, table] of [
    ['ledger', 'entry'],
    ['ledger', 'posting'],
    ['audit', 'record'],
  ] as const)
    while (!(await makeYear(schema, table))) await sleep(20)
}
const makeYear = (schema: string, table: string) =>
  bank.owner
    .query(sql.unsafe`
      select housekeeping.make_partition(${schema}, ${table}, ${sql.timestamp(newYear)}, housekeeping.bound_after('year', ${sql.timestamp(newYear)}))`)
    .then(
      () => true,
      (error: unknown) => {
        assert.equal(sqlState(error), lockNotAvailable, String(error))
        return false
      },
    )

test('a year ends while everybody pays, and its partition is made too late: nothing is refused, lost or read twice', async () => {
  const writers = [clockAt(-30), clockAt(20), clockAt(-5)]
  await transact(bank.owner, (tx) =>
    tx.query(sql.unsafe`
      insert into audit.record (record_id, occurred_at, actor, action, subject, details)
      values (${newAuditRecordId(newYearAnd(5))}, ${sql.timestamp(newYearAnd(5))}, 'test', 'test.recorded', 'new year', '{}')`),
  )
  const first = madeBy(await pay(writers[1] as MovementWriter, ann, ben))
  const paying = writers.map(async (writer, index) => {
    const made: string[] = []
    for (let round = 0; round < 12; round++) {
      const some = Array.from({ length: 1 + (round % 3) * 6 }, (_, nth) =>
        (nth + index) % 2 === 0 ? pay(writer, ann, ben) : pay(writer, ben, ann),
      )
      made.push(...(await Promise.all(some)).map(madeBy))
    }
    return made
  })
  const [made] = await Promise.all([Promise.all(paying).then((all) => all.flat()), makeNextYear()])
  await Promise.all(writers.map((writer) => writer.close()))
  const year = newYear.getUTCFullYear()
  assert.deepEqual(await Promise.all(['ledger.posting_other', 'ledger.entry_other', 'audit.record_other'].map(rowsIn)), [0, 0, 0])
  for (const partition of ['ledger.entry_first', `ledger.entry_${year}`, `ledger.posting_${year}`])
    assert.ok((await rowsIn(partition)) > 0, partition)
  assert.equal(await rowsIn(`audit.record_${year}`), 1)

  const seen: string[] = []
  for (let after: string | undefined; ; ) {
    const page = await listTransactions(bank.resourceApi, access(ann), { accountId: ann, limit: 20, after })
    seen.push(...page.transactions.map(({ entryId }) => entryId))
    after = page.next
    if (after === undefined) break
  }
  assert.equal(new Set(seen).size, seen.length)
  assert.deepEqual(new Set(seen.slice(0, -1)), new Set([first, ...made]))
  const balance = async (at: Date) =>
    (await transact(bank.resourceApi, (tx) => getPastBalance(tx, access(ann), { accountId: ann, at, now: newYearAnd(1_000) }))).posted.minor
  assert.equal(await balance(later(1)), 10_000n)
  assert.equal(
    await balance(newYearAnd(500)),
    await bank.owner.oneFirst(sql.unsafe`select posted_minor::bigint from ledger.account where account_id = ${ann}`),
  )
  assert.deepEqual(await reconcile(bank.worker), [])
  await bank.sealAndSign()
  assert.deepEqual((await bank.verify()).findings, [])
})

test('an entry of last year is reversed in this one, and never more than once over, whoever tries at once', async () => {
  const [last, next] = [clockAt(-1), clockAt(3_600_000)]
  const [from, to] = [await bank.newAccount({ funds: 10n }), await bank.newAccount()]
  const entryId = madeBy(await pay(last, from, to))
  const outcomes = await Promise.all([last, next, next, last].map((writer) => write(writer, { kind: 'reversal', entryId, ...words })))
  assert.equal(outcomes.filter((outcome) => 'made' in outcome).length, 1)
  assert.deepEqual(new Set(outcomes.flatMap((outcome) => ('declined' in outcome ? [outcome.declined] : []))), new Set(['entry_reversed']))
  await Promise.all([last.close(), next.close()])
  assert.deepEqual(await reconcile(bank.worker), [])
})

test('no role reaches a partition by itself, and what is never changed is not changed there either', async () => {
  const partitions = (await bank.owner.anyFirst(sql.unsafe`
    select format('%s.%s', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relispartition and c.relkind = 'r'`)) as string[]
  assert.ok(partitions.length > 20)
  const granted = await bank.owner.anyFirst(sql.unsafe`
    select format('%s %s %s', c.relname, g.privilege_type, g.grantee::regrole) from pg_class c, aclexplode(c.relacl) g where c.relispartition and g.grantee <> c.relowner
    union all
    select format('%s %s %s', c.relname, g.privilege_type, g.grantee::regrole) from pg_class c join pg_attribute a on a.attrelid = c.oid, aclexplode(a.attacl) g where c.relispartition`)
  assert.deepEqual(granted, [])
  const table = (name: string) => sql.identifier(name.split('.'))
  for (const name of ['ledger.posting_first', 'ledger.entry_other', 'ledger.hold_first', 'audit.record_first', 'payments.spent_first'])
    for (const role of [bank.worker, bank.resourceApi, bank.sealer])
      for (const act of [
        sql.unsafe`select from ${table(name)}`,
        sql.unsafe`delete from ${table(name)}`,
        sql.unsafe`truncate ${table(name)}`,
      ])
        await assert.rejects(role.query(act), (error) => sqlState(error) === '42501')
  for (const name of partitions.filter((one) => /^(ledger\.(entry|posting|exchange)|audit\.record)_/.test(one)))
    for (const act of [sql.unsafe`delete from ${table(name)}`, sql.unsafe`truncate ${table(name)}`])
      await assert.rejects(bank.owner.query(act), (error) => /_is_(immutable|append_only)$/.test(violatedConstraint(error) ?? ''), name)
})

test('what is joined as a whole is planned for by what there is in all partitions: the worker has it counted, once a day', async () => {
  const metrics = createWorkerMetrics(createMetrics('worker'))
  const counted = () =>
    bank.owner.anyFirst(sql.unsafe`
      select distinct tablename from pg_stats where schemaname in ('ledger', 'audit') and tablename in ('posting', 'entry', 'record') and inherited order by 1`)
  assert.deepEqual(await counted(), [])
  await Promise.all([keepPartitions(bank.worker, { now: newYear, metrics }), keepPartitions(bank.worker, { now: newYear, metrics })])
  assert.deepEqual(await counted(), ['entry', 'posting', 'record'])
  const analysed = sql.unsafe`select min(analysed_at) from housekeeping.analysed_table`
  const before = await bank.owner.oneFirst(analysed)
  await keepPartitions(bank.worker, { now: new Date(newYear.getTime() + 10 * 86_400_000), metrics })
  assert.deepEqual(await bank.owner.oneFirst(analysed), before)
})
