import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { givingWay } from './giving-way.ts'

/** Any number; it must be the same in every version of the product, or two of them would migrate at once. */
const migrationLock = 7_246_100

export type Migration = { readonly name: string; readonly text: string; readonly sha256: string }

/**
 * A lock on a table that somebody holds for long must not be waited for: whoever comes next, with a payment, would wait behind the
 * one who waits. So a migration gives up soon, lets others pass, and tries again.
 */
const defaultLockTimeoutMs = 1_000
const lockAttempts = 300
const sleepBetweenMs = 200

/** Its first line. Then each part is one statement, on its own, and such that it can be repeated: after a failure all are. */
const outsideTransaction = /^-- outside a transaction\n/
const nextPart = /^-- then$/m

export type MigrateOptions = { readonly lockTimeoutMs?: number }

/**
 * Applies what is new in a folder of `NNNN_name.sql` files, in order, each in its own transaction, or outside one if it says so:
 * for indexes that are made concurrently, and for constraints of full tables, which are first said and then validated. Processes
 * that start together wait for one another. Forward only: there is no way down.
 *
 * @returns the names of the files applied now.
 * @throws when a file that was applied has changed since, or is missing here: this version is older than the database.
 */
export async function migrate(
  url: string,
  directory: string,
  { lockTimeoutMs = defaultLockTimeoutMs }: MigrateOptions = {},
): Promise<string[]> {
  const client = new pg.Client({ connectionString: url, application_name: 'bankside migrate' })
  await client.connect()
  try {
    await waitForOthers(client)
    await client.query(journal)
    const applied = new Map(
      (await client.query<{ name: string; sha256: string }>('select name, sha256 from public.schema_migration')).rows.map(
        ({ name, sha256 }) => [name, sha256],
      ),
    )
    const migrations = readMigrations(directory)
    refuseOtherHistory(applied, migrations)
    const missing = migrations.filter(({ name }) => !applied.has(name))
    await client.query(`set lock_timeout = ${Math.round(lockTimeoutMs)}`)
    for (const migration of missing) await apply(client, migration)
    await mendIndexes(client)
    return missing.map(({ name }) => name)
  } finally {
    await client.end()
  }
}

const journal = `create table if not exists public.schema_migration (
  name text primary key, sha256 text not null, applied_at timestamptz not null)`

export function readMigrations(directory: string): Migration[] {
  return readdirSync(directory)
    .filter((name) => /^\d{4}_.*\.sql$/.test(name))
    .sort()
    .map((name) => {
      const text = readFileSync(join(directory, name), 'utf8')
      return { name, text, sha256: createHash('sha256').update(text).digest('hex') }
    })
}

function refuseOtherHistory(applied: ReadonlyMap<string, string>, migrations: readonly Migration[]): void {
  const here = new Map(migrations.map(({ name, sha256 }) => [name, sha256]))
  for (const [name, sha256] of applied) {
    if (!here.has(name)) throw new Error(`the database has migration ${name}, which this version does not know`)
    if (here.get(name) !== sha256) throw new Error(`migration ${name} was changed after it was applied`)
  }
}

/** Asks again and again: an index that is made concurrently would wait for whoever waits in a statement, and so for each other. */
async function waitForOthers(client: pg.Client): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [migrationLock])
    if (rows[0]?.locked === true) return
    await sleep(sleepBetweenMs)
  }
}

/**
 * What was to be made concurrently and failed half way leaves an index that is written to and never read, that holds nothing unique, and that
 * `if not exists` takes for made. It is made again; one that cannot be, because rows are not unique, stops whoever migrates, by its name.
 */
async function mendIndexes(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string; leftover: boolean }>(invalidIndexes)
  for (const { name, leftover } of rows)
    try {
      await givingWay(lockAttempts, () =>
        client.query(leftover ? `drop index concurrently if exists ${name}` : `reindex index concurrently ${name}`),
      )
    } catch (error) {
      throw new Error(`the index ${name} is invalid, and cannot be made: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      })
    }
}

/** But for one that somebody else makes at this moment, and those of partitioned tables, which are valid when all their parts are. */
const invalidIndexes = `
  select format('%I.%I', nspname, relname) as name, relname ~ '_cc(new|old)\\d*$' as leftover
  from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
  where not i.indisvalid and c.relkind = 'i' and nspname !~ '^pg_' and not exists (select from pg_stat_progress_create_index p where p.relid = i.indrelid)
  order by leftover desc`

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  const { name, text } = migration
  try {
    if (!outsideTransaction.test(text)) return await givingWay(lockAttempts, () => applyWhole(client, migration))
    for (const part of text.replace(outsideTransaction, '').split(nextPart)) await givingWay(lockAttempts, () => client.query(part))
    await note(client, migration)
  } catch (error) {
    throw new Error(`migration ${name}: ${error instanceof Error ? error.message : error}`, { cause: error })
  }
}

async function applyWhole(client: pg.Client, migration: Migration): Promise<void> {
  await client.query('begin')
  try {
    await client.query(migration.text)
    await note(client, migration)
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  }
}

const note = (client: pg.Client, { name, sha256 }: Migration) =>
  client.query('insert into public.schema_migration (name, sha256, applied_at) values ($1, $2, statement_timestamp())', [name, sha256])
