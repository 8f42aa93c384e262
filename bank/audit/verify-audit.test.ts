import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { type SqlFragment, sql, sqlState, transact, violatedConstraint } from '@bankside/service-kit/postgres'
import { newAuditRecordId, newEntryId, newHoldId } from '../ids.ts'
import type { Payment } from '../payments/payment.ts'
import { noon } from '../payments/testing/test-bank.ts'
import { hashOfLeaf, leafOf, saltsFrom } from './leaf.ts'
import { readLeaves } from './read-leaves.ts'
import { writeRowIndex } from './row-index.ts'
import { sealsFrom } from './stored-tree.ts'
import { type AuditedBank, openAuditedBank } from './testing/audited-bank.ts'

let bank: AuditedBank
let payment: Payment
let entryId: string
let otherEntryId: string
let recordId: string
before(async () => {
  bank = await openAuditedBank()
  const other = await bank.pay()
  await bank.sealAndSign()
  payment = await bank.pay()
  await bank.sealAndSign()
  ;[entryId, otherEntryId, recordId] = (await Promise.all([
    bank.owner.oneFirst(sql.unsafe`select entry_id from payments.payment where payment_id = ${payment.id}`),
    bank.owner.oneFirst(sql.unsafe`select entry_id from payments.payment where payment_id = ${other.id}`),
    bank.owner.oneFirst(sql.unsafe`select record_id from audit.record where subject = ${payment.id} and action = 'payment.submitted'`),
  ])) as [string, string, string]
})
after(() => bank.close())

type Query = ReturnType<typeof sql.unsafe>
const found = async () =>
  (await bank.verify()).findings
    .map(({ what, table, id, column }) => `${what} ${table} ${id}${column === undefined ? '' : ` ${column}`}`)
    .sort()

/** Changes something as the database's owner, says what is found, and changes it back. */
async function tampered(change: readonly Query[], back: readonly Query[]): Promise<string[]> {
  await bank.tamper(...change)
  const findings = await found()
  await bank.tamper(...back)
  assert.deepEqual(await found(), [], 'as it was')
  return findings
}

/** Puts rows aside while they are missing. */
const withoutRows = (table: SqlFragment, where: SqlFragment) =>
  tampered(
    [sql.unsafe`create table public.aside as select * from ${table} ${where}`, sql.unsafe`delete from ${table} ${where}`],
    [sql.unsafe`insert into ${table} select * from public.aside`, sql.unsafe`drop table public.aside`],
  )

test('books and records as they were sealed have nothing to tell', async () => {
  const { findings, leaves, read, checkpoints, unsealed } = await bank.verify()
  assert.deepEqual([findings, read === leaves, checkpoints, unsealed], [[], true, 4, 0])
  assert.ok(leaves >= 10)
})

test('an amount that was changed is named, with all that was changed to make it fit', async () => {
  const { debtorAccountId: account } = payment
  const posting = (sign: SqlFragment) => sql.unsafe`
    update ledger.posting set amount_minor = amount_minor ${sign} 1, balance_minor = balance_minor ${sign} 1 where entry_id = ${entryId} and account_id = ${account}`
  assert.deepEqual(await tampered([posting(sql.fragment`-`)], [posting(sql.fragment`+`)]), [
    `changed ledger.posting ${account}/2 amount_minor`,
    `changed ledger.posting ${account}/2 balance_minor`,
  ])
})

test('a time of booking that was moved by a microsecond is named', async () => {
  const entry = (sign: SqlFragment) =>
    sql.unsafe`update ledger.entry set booked_at = booked_at ${sign} interval '1 microsecond' where entry_id = ${entryId}`
  assert.deepEqual(await tampered([entry(sql.fragment`-`)], [entry(sql.fragment`+`)]), [`changed ledger.entry ${entryId} booked_at`])
})

test('a record of the audit log that was changed is named', async () => {
  const record = (actor: string) => sql.unsafe`update audit.record set actor = ${actor} where record_id = ${recordId}`
  assert.deepEqual(await tampered([record('nobody')], [record('third-party')]), [`changed audit.record ${recordId} actor`])
  const details = (from: string, to: string) => sql.unsafe`
    update audit.record set details = replace(details::text, ${from}, ${to})::jsonb where record_id = ${recordId}`
  assert.deepEqual(await tampered([details('"held"', '"sent"')], [details('"sent"', '"held"')]), [
    `changed audit.record ${recordId} details`,
  ])
})

test('a row that is gone is named: an entry, a posting, a record', async () => {
  assert.deepEqual(await withoutRows(sql.fragment`audit.record`, sql.fragment`where record_id = ${recordId}`), [
    `missing audit.record ${recordId}`,
  ])
  const account = payment.creditorAccountId
  assert.deepEqual(await withoutRows(sql.fragment`ledger.posting`, sql.fragment`where entry_id = ${entryId} and account_id = ${account}`), [
    `missing ledger.posting ${account}/1`,
  ])
  assert.deepEqual(await withoutRows(sql.fragment`ledger.entry`, sql.fragment`where entry_id = ${entryId}`), [
    ...[account, payment.debtorAccountId].map((id) => `inserted ledger.posting ${id}/${id === account ? 1 : 2}`).sort(),
    `missing ledger.entry ${entryId}`,
  ])
})

test('a row that was slipped in among those that are sealed is named', async () => {
  const [entry, record] = [newEntryId(noon), newAuditRecordId(noon)]
  const before = sql.fragment`(select written_in from ledger.entry where entry_id = ${entryId})`
  const time = sql.timestamp(noon)
  const findings = await tampered(
    [
      sql.unsafe`insert into ledger.entry (entry_id, kind, currency, description, reference, booked_at, value_date, written_in)
        values (${entry}, 'transfer', 'GBP', '', '', ${time}, '2026-03-02', ${before})`,
      sql.unsafe`insert into audit.record (record_id, occurred_at, actor, action, subject, details, written_in)
        values (${record}, ${time}, 'customer', 'consent.authorised', 'con_x', '{}', ${before})`,
      sql.unsafe`insert into ledger.posting (account_id, posting_number, entry_id, currency, amount_minor, balance_minor, counterparty_name, booked_at)
        values (${payment.creditorAccountId}, 2, ${entryId}, 'GBP', 5, 5, '', ${time})`,
    ],
    [
      sql.unsafe`delete from ledger.entry where entry_id = ${entry}`,
      sql.unsafe`delete from audit.record where record_id = ${record}`,
      sql.unsafe`delete from ledger.posting where account_id = ${payment.creditorAccountId} and posting_number = 2`,
    ],
  )
  assert.deepEqual(findings, [
    `inserted audit.record ${record}`,
    `inserted ledger.entry ${entry}`,
    `inserted ledger.posting ${payment.creditorAccountId}/2`,
  ])
})

test('two rows that changed places are both named', async () => {
  const swap = [
    sql.unsafe`update ledger.entry set entry_id = 'x' where entry_id = ${entryId}`,
    sql.unsafe`update ledger.entry set entry_id = ${entryId} where entry_id = ${otherEntryId}`,
    sql.unsafe`update ledger.entry set entry_id = ${otherEntryId} where entry_id = 'x'`,
  ]
  const findings = (await tampered(swap, swap)).join('\n')
  for (const id of [entryId, otherEntryId]) assert.match(findings, new RegExp(`changed ledger.entry ${id} payment_id`))

  const moveTo = (id: string, from: string) => sql.unsafe`
    update ledger.entry set written_in = (select written_in from ledger.entry where entry_id = ${from}) where entry_id = ${id}`
  const written = await bank.owner.oneFirst(sql.unsafe`select written_in from ledger.entry where entry_id = ${entryId}`)
  const back = sql.unsafe`update ledger.entry set written_in = ${written as bigint} where entry_id = ${entryId}`
  assert.deepEqual(await tampered([moveTo(entryId, otherEntryId)], [back]), [`moved ledger.entry ${entryId} written_in`])
})

/** Changes a row and makes the seals fit it. */
async function rewriteTree(change: Query): Promise<Query[]> {
  await bank.tamper(change)
  const seals = await transact(bank.owner, (tx) => sealsFrom(tx, 1, 0, 1_000))
  const write = (firstLeaf: number, hashes: readonly Buffer[], index: Buffer) => sql.unsafe`
    update audit.seal set leaf_hashes = ${sql.binary(Buffer.concat(hashes))}, row_index = ${sql.binary(index)} where first_leaf = ${firstLeaf}`
  for (const { salt, firstLeaf, ...range } of seals) {
    const leaves = await transact(bank.owner, (tx) => readLeaves(tx, { ...range, limit: 10_000 }))
    const hashes = leaves.map((rows) => hashOfLeaf(leafOf(rows, saltsFrom(salt))))
    await bank.tamper(write(firstLeaf, hashes, writeRowIndex(leaves)))
  }
  return seals.map(({ firstLeaf, leafHashes, rowIndex }) => write(firstLeaf, leafHashes, rowIndex))
}

/** What somebody who knows all of this and owns the database would do: everything fits, but for what is signed. */
test('a tree that was rewritten to fit does not fit what was signed, in the database or outside', async () => {
  const seals = await rewriteTree(sql.unsafe`update audit.record set actor = 'nobody' where record_id = ${recordId}`)
  const findings = (await found()).join('\n')
  assert.match(findings, /changed audit\.seal leaves \d+ to \d+, or before/)
  assert.doesNotMatch(findings, /audit\.record|ledger|tree_node/, 'all else fits')
  await bank.pay()
  await assert.rejects(bank.sealAndSign(), /the first \d+ leaves are not those that were signed/)
  await bank.tamper(sql.unsafe`update audit.record set actor = 'third-party' where record_id = ${recordId}`, ...seals)
  assert.deepEqual(await found(), [])
  await bank.sign()
})

test('checkpoints that were forged, exchanged or taken away are named', async () => {
  const size = (await bank.verify()).leaves
  const note = (from: string, to: string) =>
    sql.unsafe`update audit.checkpoint set note = replace(note, ${from}, ${to}) where tree_size = ${size}`
  assert.deepEqual(await tampered([note(`\n${size}\n`, `\n${size - 1}\n`)], [note(`\n${size - 1}\n`, `\n${size}\n`)]), [
    `changed audit.checkpoint ${size}`,
  ])
  assert.deepEqual(await withoutRows(sql.fragment`audit.checkpoint`, sql.fragment`where tree_size = ${size}`), [
    `missing audit.checkpoint ${size}`,
  ])
})

test('an end that was cut off is found by the file outside, and nothing is signed after it', async () => {
  await bank.pay()
  await bank.sealAndSign()
  const last = sql.fragment`where first_leaf = (select max(first_leaf) from audit.seal)`
  const range = sql.fragment`(select from_xact from audit.seal ${last})`
  await bank.tamper(
    sql.unsafe`create table public.aside_records as select * from audit.record where written_in >= ${range}`,
    sql.unsafe`create table public.aside_entries as select * from ledger.entry where written_in >= ${range}`,
    sql.unsafe`create table public.aside_postings as select * from ledger.posting where entry_id in (select entry_id from public.aside_entries)`,
    sql.unsafe`create table public.aside_seal as select * from audit.seal ${last}`,
    sql.unsafe`create table public.aside_checkpoint as select * from audit.checkpoint order by tree_size desc limit 1`,
    sql.unsafe`delete from audit.record r using public.aside_records a where a.record_id = r.record_id`,
    sql.unsafe`delete from ledger.entry e using public.aside_entries a where a.entry_id = e.entry_id`,
    sql.unsafe`delete from ledger.posting p using public.aside_postings a where (a.account_id, a.posting_number) = (p.account_id, p.posting_number)`,
    sql.unsafe`delete from audit.checkpoint c using public.aside_checkpoint a where a.tree_size = c.tree_size`,
    sql.unsafe`delete from audit.seal ${last}`,
  )
  const findings = (await found()).join('\n')
  assert.match(findings, /missing audit\.seal leaf \d+/)
  assert.match(findings, /missing audit\.checkpoint \d+/)
  await assert.rejects(bank.sign(), /the tree has \d+ leaves, and was signed with \d+/)
  await bank.tamper(
    sql.unsafe`insert into audit.record select * from public.aside_records`,
    sql.unsafe`insert into ledger.entry select * from public.aside_entries`,
    sql.unsafe`insert into ledger.posting select * from public.aside_postings`,
    sql.unsafe`insert into audit.seal select * from public.aside_seal`,
    sql.unsafe`insert into audit.checkpoint select * from public.aside_checkpoint`,
  )
  assert.deepEqual(await found(), [])
})

test('what was verified under a checkpoint need not be read again', async () => {
  const [first] = (await bank.owner.anyFirst(sql.unsafe`select tree_size from audit.checkpoint order by tree_size`)) as bigint[]
  const whole = await bank.verify()
  const rest = await bank.verify(Number(first))
  assert.deepEqual([rest.findings, rest.leaves, rest.read], [[], whole.leaves, whole.leaves - Number(first)])
  const hash = sql.fragment`set_byte(leaf_hashes, 0, get_byte(leaf_hashes, 0) # 1)`
  const flip = sql.unsafe`update audit.seal set leaf_hashes = ${hash} where first_leaf = 0`
  await bank.tamper(flip)
  assert.match(
    (await bank.verify(Number(first))).findings.map(({ id, detail }) => `${id} ${detail}`).join(),
    /leaves 0 to \d+ they do not lead/,
  )
  await bank.tamper(flip)
})

test('nobody but the sealer writes the tree, and nobody changes it, its owner neither', async () => {
  for (const change of [
    sql.unsafe`update audit.seal set leaf_count = 1`,
    sql.unsafe`delete from audit.tree_node`,
    sql.unsafe`truncate audit.checkpoint`,
  ])
    await assert.rejects(bank.owner.query(change), (error) => violatedConstraint(error) === 'tree_is_append_only')
  for (const database of [bank.worker, bank.resourceApi])
    for (const refused of [
      sql.unsafe`insert into audit.checkpoint values (1, 'note', now())`,
      sql.unsafe`select * from audit.seal`,
      sql.unsafe`insert into audit.record (record_id, occurred_at, actor, action, subject, details, written_in) values ('', now(), '', '', '', '{}', 1)`,
    ])
      await assert.rejects(database.query(refused), (error) => sqlState(error) === '42501')
  for (const refused of [
    sql.unsafe`insert into audit.record select * from audit.record`,
    sql.unsafe`delete from audit.seal`,
    sql.unsafe`select * from customers.customer`,
  ])
    await assert.rejects(bank.sealer.query(refused), (error) => sqlState(error) === '42501')
})

test('what changes access or money without an act of its own is on record, whoever does it', async () => {
  const [account, time] = [await bank.newAccount({ funds: 100n }), sql.timestamp(noon)]
  const [grantId, holdId] = ['grant-of-nobody', newHoldId(noon)]
  for (const change of [
    sql.unsafe`insert into oidc.grant (grant_id, client_id, customer_id, payload, created_at, expires_at)
      select ${grantId}, 'third-party', customer_id, '', ${time}, ${time} from ledger.account where account_id = ${account}`,
    sql.unsafe`update oidc.grant set revoked_at = ${time} where grant_id = ${grantId}`,
    sql.unsafe`select ledger.place_hold(${holdId}, ${account}, 40, 'GBP', ${time}, ${time})`,
    sql.unsafe`select ledger.release_hold(${holdId}, 'expired', ${time})`,
    sql.unsafe`insert into ledger.rate values ('GBP', 'EUR', 'test', ${time}, 115, 2)`,
    sql.unsafe`update ledger.account set overdraft_minor = 5000 where account_id = ${account}`,
    sql.unsafe`update ledger.account set nickname = 'Other' where account_id = ${account}`,
  ])
    await bank.owner.query(change)
  const subjects = sql.array([grantId, holdId, 'GBP/EUR', account], 'text')
  assert.deepEqual(
    await bank.owner.any(
      sql.unsafe`select action, details from audit.record where subject = any (${subjects}) order by action collate "C"`,
    ),
    [
      { action: 'account.changed', details: { status: 'open', before: 'open', overdraftMinor: '5000', overdraftBefore: '0' } },
      { action: 'grant.ended', details: { clientId: 'third-party' } },
      { action: 'hold.expired', details: { accountId: account, amountMinor: '40', currency: 'GBP' } },
      { action: 'rate.recorded', details: { scale: 2, units: '115', source: 'test' } },
    ],
  )
})

test('a line of the file that was taken out is missed', async () => {
  const text = await readFile(bank.file, 'utf8')
  const [, second, ...others] = text.split('\n')
  await writeFile(bank.file, [second, ...others].join('\n'))
  assert.match((await found()).join(), /^missing audit\.checkpoint \d+$/)
  await writeFile(bank.file, text)
})
