import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { environmentWith } from '../environment.ts'
import type { Stopping } from '../processes/stopping.ts'

export type LedgerDatabase = {
  readonly name: string
  /** Of the role that may move money between any accounts. */
  readonly url: string
  readonly accounts: readonly string[]
  /** Those with enough postings to fill a page. */
  readonly readable: readonly string[]
  readonly entries: number
}

export type LedgerSize = { readonly accounts: number; readonly entries: number }

const listedAtMost = 50_000
const pageOf = 50

/** Of the role, which all databases of the server share. */
const password = randomBytes(18).toString('base64url')

/** A database of its own on the same server, migrated as any other, and filled by SQL past the functions: with sound books. */
export async function fillLedger(adminUrl: string, { accounts, entries }: LedgerSize, stopping: Stopping): Promise<LedgerDatabase> {
  const name = `bench_ledger_${randomBytes(4).toString('hex')}`
  await asAdmin(adminUrl, (admin) => admin.query(`create database ${name}`))
  stopping.push(() => asAdmin(adminUrl, (admin) => admin.query(`drop database if exists ${name} with (force)`)))
  const ownerUrl = inDatabase(adminUrl, name)
  const root = path.join(import.meta.dirname, '../..')
  await promisify(execFile)(process.execPath, [path.join(root, 'sandbox/migrate.ts')], {
    cwd: root,
    env: environmentWith({ DATABASE_URL: ownerUrl, LEDGER_PASSWORD: password }),
  })
  const url = new URL(ownerUrl)
  url.username = 'bankside_ledger'
  url.password = password
  return asAdmin(ownerUrl, async (owner) => {
    await fill(owner, accounts, entries)
    const ids = async (condition: string) =>
      (await owner.query(`select account_id from ledger.account where ${condition} order by random() limit ${listedAtMost}`)).rows.map(
        ({ account_id }) => account_id,
      )
    return { name, url: url.href, accounts: await ids('true'), readable: await ids(`posting_count >= ${pageOf}`), entries }
  })
}

/** Some accounts have far more postings than others, as everywhere. The bank's own, so that none runs dry. */
async function fill(owner: pg.Client, accounts: number, entries: number): Promise<void> {
  await owner.query('set session_replication_role = replica')
  await owner.query(
    `insert into ledger.account (account_id, kind, currency, status, nickname, holder_name, type_code, posted_minor, held_minor, overdraft_minor, posting_count, opened_at)
     select 'acc_' || md5(n::text), 'internal', 'GBP', 'open', 'Load', 'Holder ' || n, 'OTHR', 0, 0, 0, 0, now() - interval '90 days' from generate_series(1, $1::integer) n`,
    [accounts],
  )
  await owner.query(
    `create temporary table movement as
     select n, 'ent_' || lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || substr(md5(n::text), 1, 20) as entry_id, at,
       1 + floor($1 * power(random(), 3))::integer as debtor, 1 + floor($1 * power(random(), 3))::integer as creditor
     from generate_series(1, $2::integer) n, lateral (select date_trunc('milliseconds', now() - interval '60 days' + n::float8 / $2 * interval '5000000 seconds')) moment (at)`,
    [accounts, entries],
  )
  await owner.query('update movement set creditor = 1 + creditor % $1 where debtor = creditor', [accounts])
  await owner.query(
    `insert into ledger.entry (entry_id, kind, currency, description, reference, booked_at, value_date)
     select entry_id, 'transfer', 'GBP', 'Load', 'LOAD', at, at::date from movement order by n`,
  )
  await withoutIndexes(owner, 'ledger.posting', () =>
    owner.query(
      `insert into ledger.posting (account_id, posting_number, entry_id, currency, amount_minor, balance_minor, counterparty_name, booked_at)
       select 'acc_' || md5(account::text), row_number() over in_order, entry_id, 'GBP', amount, sum(amount) over in_order, 'Holder ' || other, at
       from movement, lateral (values (debtor, creditor, -100), (creditor, debtor, 100)) leg (account, other, amount)
       window in_order as (partition by account order by n)`,
    ),
  )
  await owner.query(
    `update ledger.account a set posted_minor = sums.minor, posting_count = sums.count, last_booked_at = sums.last
     from (select account_id, sum(amount_minor) as minor, count(*) as count, max(booked_at) as last from ledger.posting group by account_id) sums
     where sums.account_id = a.account_id`,
  )
  await owner.query('drop table movement')
  await owner.query('vacuum analyze ledger.account, ledger.entry, ledger.posting')
  await owner.query('checkpoint')
}

/** Of a page of an index, in percent: as full as those are that grew row by row. */
const fillFactor = 70

/** Millions of rows that come in no order of an index are written first, and sorted for it once. */
async function withoutIndexes(owner: pg.Client, table: string, write: () => Promise<unknown>): Promise<void> {
  const { rows: constraints } = await owner.query<{ name: string; definition: string }>(
    `select conname as name, pg_get_constraintdef(oid) as definition from pg_constraint where conrelid = $1::regclass and contype in ('p', 'u')`,
    [table],
  )
  const { rows: indexes } = await owner.query<{ name: string; definition: string }>(
    `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition from pg_index
     where indrelid = $1::regclass and not exists (select from pg_constraint where conindid = indexrelid)`,
    [table],
  )
  for (const { name } of constraints) await owner.query(`alter table ${table} drop constraint ${name}`)
  for (const { name } of indexes) await owner.query(`drop index ${name}`)
  await write()
  await owner.query(`set maintenance_work_mem = '256MB'`)
  for (const { name, definition } of constraints)
    await owner.query(`alter table ${table} add constraint ${name} ${definition} with (fillfactor = ${fillFactor})`)
  for (const { definition } of indexes) await owner.query(definition.replace(' ON ONLY ', ' ON '))
}

export function inDatabase(adminUrl: string, name: string): string {
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  return url.href
}

export async function asAdmin<Result>(url: string, work: (admin: pg.Client) => Promise<Result>): Promise<Result> {
  const admin = new pg.Client(url)
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.end()
  }
}
