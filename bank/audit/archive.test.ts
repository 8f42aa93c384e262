import assert from 'node:assert/strict'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { sql, sqlState, transact, violatedConstraint } from '@bankside/service-kit/postgres'
import type { Payment } from '../payments/payment.ts'
import { noon } from '../payments/testing/test-bank.ts'
import { appendAudit } from './append-audit.ts'
import { type Archive, storedArchives } from './archive.ts'
import { sha256OfFile } from './archive-file.ts'
import { archivableRecords, archiveRecords, CannotArchive } from './archive-records.ts'
import { archivedRecordsOf } from './archived-payment.ts'
import { logVerifiers } from './audit-keys.ts'
import { checkProof } from './check-proof.ts'
import { compareTold } from './compare-told.ts'
import { provePayment } from './prove.ts'
import { CannotProve, RecordsArchived } from './prove-leaf.ts'
import { proveToViewer } from './prove-to-viewer.ts'
import { readingSnapshot } from './reading-snapshot.ts'
import { type AuditedBank, openAuditedBank } from './testing/audited-bank.ts'
import { verifyArchive } from './verify-archive.ts'

const partition = 'record_first'
const now = new Date()
let bank: AuditedBank
let paid: Payment
let archive: Archive
const path = () => join(bank.folder, 'audit.record_first.jsonl.gz')
const inDatabase = async () => (await bank.owner.oneFirst(sql.unsafe`select count(*) from audit.record`)) as bigint
const isThere = () => bank.owner.exists(sql.unsafe`select where to_regclass('audit.record_first') is not null`)
const toFolder = () => archiveRecords(bank.owner, { partition, folder: bank.folder, actor: 'operator test', now })
const refused = (why: RegExp) => assert.rejects(toFolder(), (error) => error instanceof CannotArchive && why.test(error.message))
const record = (action: string) =>
  transact(bank.worker, (tx) => appendAudit(tx, { actor: 'test', action, subject: 'test', details: {}, now: noon }))
const findings = async () => (await bank.verify()).findings.map(({ what, table, id }) => `${what} ${table} ${id}`)
const prove = (id: string) =>
  transact(bank.owner, (tx) => provePayment(tx, { paymentId: id, audience: 'auditor', verifiers: logVerifiers(bank.keys) }))

before(async () => {
  bank = await openAuditedBank()
  paid = await bank.pay()
  await bank.sealAndSign()
})
after(() => bank.close())

test('records are archived when the law’s years are over, by the database’s owner, and by nobody’s clock', async () => {
  const [first] = await transact(bank.worker, archivableRecords)
  assert.equal(first?.partition, partition)
  assert.ok((first?.dueAt ?? now) > new Date(now.getTime() + 7 * 365 * 86_400_000))
  await refused(/record_first is not to be archived before/)
  const drop = sql.unsafe`select audit.drop_archived(${partition}, 1, 9999999, ${await inDatabase()}::bigint, 'f', repeat('0', 64), 'aud_1', 'me', '9999-01-01')`
  await assert.rejects(bank.owner.query(drop), (error) => violatedConstraint(error) === 'archive_is_due')
  for (const role of [bank.worker, bank.sealer, bank.resourceApi])
    await assert.rejects(role.query(drop), (error) => sqlState(error) === '42501')
  await bank.owner.query(sql.unsafe`
    update housekeeping.partitioned_table set archived_after = now() - interval '1 minute'
      - (select before_time from housekeeping.partition where partition_name = ${partition}) where table_name = 'record'`)
})

test('what is not sealed yet, or not as it was sealed, is not archived: it stays where it is', async () => {
  await record('test.unsealed')
  await refused(/not sealed yet/)
  await bank.sealAndSign()
  const change = (actor: string) => sql.unsafe`update audit.record set actor = ${actor} where action = 'test.unsealed'`
  await bank.tamper(change('nobody'))
  await refused(/record aud_\w+ is not what was sealed/)
  await bank.tamper(change('test'))
  await bank.tamper(
    sql.unsafe`create table public.aside as select * from audit.record where action = 'test.unsealed'`,
    sql.unsafe`delete from audit.record where action = 'test.unsealed'`,
  )
  await refused(/is not what was sealed/)
  await bank.tamper(sql.unsafe`insert into audit.record select * from public.aside`, sql.unsafe`drop table public.aside`)
  assert.ok(await isThere())
  assert.deepEqual(await findings(), [])
})

test('an archive that somebody says there is, on record too, does not hide a record that is gone while others of its time are there', async () => {
  await record('test.gone')
  await bank.sealAndSign()
  const gone = sql.fragment`from audit.record where action = 'test.gone'`
  await bank.tamper(
    sql.unsafe`create table public.aside as select * ${gone}`,
    sql.unsafe`delete ${gone}`,
    sql.unsafe`insert into audit.archive values ('record_said', '', 'aud_g', 1, 9999999999, 1, 'audit.record_said.jsonl.gz', repeat('0', 64), now())`,
  )
  const details = await bank.owner.oneFirst(sql.unsafe`select (to_jsonb(a) - 'archived_at')::text from audit.archive a`)
  await transact(bank.worker, (tx) =>
    appendAudit(tx, { actor: 'x', action: 'records.archived', subject: 'record_said', details: JSON.parse(String(details)), now: noon }),
  )
  await bank.sealAndSign()
  const { findings: found } = await bank.verify()
  assert.ok(found.some(({ table, id, detail }) => table === 'audit.archive' && id === 'record_said' && /still there/.test(detail)))
  await bank.tamper(
    sql.unsafe`delete from audit.archive`,
    sql.unsafe`insert into audit.record select * from public.aside`,
    sql.unsafe`drop table public.aside`,
  )
  assert.deepEqual(await findings(), [])
})

test('an archive that is left half way is made again, and one that is made while everybody pays holds all that was sealed', async () => {
  const given = await prove(paid.id)
  const before = await bank.verify()
  const count = await inDatabase()
  // Dies when the file is there and the partition is not dropped yet.
  await assert.rejects(
    transact(bank.owner, async (tx) => {
      await tx.query(sql.unsafe`
        select audit.drop_archived(${partition}, 1, 9999999999, ${count}::bigint, 'f', repeat('0', 64), 'aud_' || repeat('0', 32), 'me', now())`)
      throw new Error('died')
    }),
    /died/,
  )
  assert.equal(await inDatabase(), count)

  archive = await toFolder()
  assert.deepEqual([BigInt(archive.rows), await isThere()], [count, false])
  assert.equal((await stat(path())).mode & 0o777, 0o600)
  const paying = await bank.pay()
  await bank.sealAndSign()
  const verified = await bank.verify()
  assert.deepEqual(verified.findings, [])
  assert.deepEqual(
    verified.archives.map(({ sha256 }) => sha256),
    [archive.sha256],
  )
  assert.ok(verified.leaves > before.leaves)
  assert.deepEqual(await verifyArchive(bank.sealer, archive, path()), [])
  // A payment of before is on record nowhere now, which says nothing; what is there is compared.
  const told = () => readingSnapshot(bank.owner, compareTold)
  assert.deepEqual(await told(), [])
  await bank.tamper(sql.unsafe`update payments.payment set client_id = 'other-party' where payment_id = ${paying.id}`)
  assert.deepEqual(
    (await told()).map(({ what, id, column }) => `${what} ${id} ${column}`),
    [`changed ${paying.id} client_id`],
  )
  await bank.tamper(sql.unsafe`update payments.payment set client_id = 'third-party' where payment_id = ${paying.id}`)
  // What was proven stays proven; what comes is; of what is archived there is no proof from here.
  assert.deepEqual(checkProof(JSON.stringify(given), logVerifiers(bank.keys)).problems, [])
  assert.deepEqual(checkProof(JSON.stringify(await prove(paying.id)), logVerifiers(bank.keys)).problems, [])
  await assert.rejects(prove(paid.id), (error) => error instanceof RecordsArchived && /archived/.test(error.message))
  const asked = { paymentId: paid.id, audience: 'customer' } as const
  await assert.rejects(
    transact(bank.resourceApi, (tx) => proveToViewer(tx, asked)),
    { code: 'payment_archived' },
  )
})

test('what is archived is proven with its file, as it was before, and with no other file', async () => {
  const fromFile = async () => {
    const archived = await archivedRecordsOf(bank.owner, paid.id, bank.folder)
    return transact(bank.owner, (tx) =>
      provePayment(tx, { paymentId: paid.id, audience: 'auditor', verifiers: logVerifiers(bank.keys), archived }),
    )
  }
  const cannot = (why: RegExp) => assert.rejects(fromFile(), (error) => error instanceof CannotProve && why.test(error.message))
  const { proven, problems } = checkProof(JSON.stringify(await fromFile()), logVerifiers(bank.keys))
  assert.deepEqual(problems, [])
  assert.match(
    proven.join('\n'),
    new RegExp(`was lodged, authorised and consumed for payment ${paid.id}, whose money was .*moved by one entry`),
  )
  const whole = await readFile(path())
  await writeFile(path(), Buffer.concat([whole, gzipSync('')]))
  await cannot(/is not the file that was written/)
  await rm(path())
  await cannot(/is not there/)
  await writeFile(path(), whole)
})

test('a file that was changed, exchanged or lost is named, and so is a row in it that was never sealed', async () => {
  const whole = await readFile(path())
  const told = async () =>
    (await verifyArchive(bank.sealer, archive, path())).map(({ what, table, detail }) => `${what} ${table} ${detail}`)
  await writeFile(path(), Buffer.concat([whole.subarray(0, -9), Buffer.alloc(9)]))
  assert.match((await told()).join(), /^changed audit\.archive SHA-256/)
  const lines = gunzipSync(whole).toString().trimEnd().split('\n')
  for (const [changed, said] of [
    [lines.map((line) => line.replace('"actor":"third-party"', '"actor":"nobody"')), /changed audit\.record now "nobody"/],
    [lines.slice(0, -1), /changed audit\.archive it holds/],
    [[...lines.slice(0, -1), lines.at(-2) ?? ''], /inserted audit\.record leaf \d+ is of something else/],
  ] as const) {
    await writeFile(path(), gzipSync(`${changed.join('\n')}\n`))
    // Whoever can exchange the file may have changed what the database says of it.
    archive = { ...archive, sha256: await sha256OfFile(path()) }
    assert.match((await told()).join('\n'), said)
  }
  await rm(path())
  assert.match((await told()).join(), /^missing audit\.archive/)
  await writeFile(path(), whole)
  archive = { ...archive, sha256: await sha256OfFile(path()) }
  assert.deepEqual(await told(), [])
})

test('nobody hides what is gone behind an archive: not one that was never recorded, nor one that holds something else', async () => {
  const { archives } = await transact(bank.sealer, storedArchives)
  assert.equal(archives.length, 1)
  await assert.rejects(bank.owner.query(sql.unsafe`update audit.archive set sha256 = repeat('0', 64)`), (error) => {
    return violatedConstraint(error) === 'tree_is_append_only'
  })
  await bank.tamper(sql.unsafe`create table public.aside as select * from audit.archive`)
  const asItWas = [sql.unsafe`delete from audit.archive`, sql.unsafe`insert into audit.archive select * from public.aside`]
  await bank.tamper(sql.unsafe`update audit.archive set sha256 = repeat('0', 64)`)
  assert.deepEqual(await findings(), ['inserted audit.archive record_first'])
  await bank.tamper(...asItWas)
  await bank.tamper(sql.unsafe`delete from audit.archive`)
  assert.equal((await findings()).filter((one) => one.startsWith('missing audit.record')).length, archive.rows)
  await bank.tamper(...asItWas)
  // A record that came since is not in it, although its key is of that time.
  await bank.tamper(
    sql.unsafe`create table public.gone as select * from audit.record where action = 'payment.posted'`,
    sql.unsafe`delete from audit.record where action = 'payment.posted'`,
    sql.unsafe`update audit.archive set before_xact = before_xact + 1000000, row_count = row_count + 1`,
  )
  assert.ok((await findings()).includes('inserted audit.archive record_first'))
  await bank.tamper(...asItWas)
  assert.match((await findings()).join(), /^missing audit\.record aud_\w+$/)
  await bank.tamper(sql.unsafe`insert into audit.record select * from public.gone`)
  assert.deepEqual(await findings(), [])
})
