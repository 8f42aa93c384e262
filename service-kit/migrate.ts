import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'

/** Any number; it must be the same in every version of the product, or two of them would migrate at once. */
const migrationLock = 7_246_100

export type Migration = { readonly name: string; readonly text: string; readonly sha256: string }

/**
 * Applies what is new in a folder of `NNNN_name.sql` files, in order, each in its own transaction. Processes that start
 * together wait for one another. Forward only: there is no way down.
 *
 * @returns the names of the files applied now.
 * @throws when a file that was applied has changed since, or is missing here: this version is older than the database.
 */
export async function migrate(url: string, directory: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url, application_name: 'bankside migrate' })
  await client.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [migrationLock])
    await client.query(journal)
    const applied = new Map(
      (await client.query<{ name: string; sha256: string }>('select name, sha256 from public.schema_migration')).rows.map(
        ({ name, sha256 }) => [name, sha256],
      ),
    )
    const migrations = readMigrations(directory)
    refuseOtherHistory(applied, migrations)
    const missing = migrations.filter(({ name }) => !applied.has(name))
    for (const migration of missing) await apply(client, migration)
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

async function apply(client: pg.Client, { name, text, sha256 }: Migration): Promise<void> {
  await client.query('begin')
  try {
    await client.query(text)
    await client.query('insert into public.schema_migration (name, sha256, applied_at) values ($1, $2, statement_timestamp())', [
      name,
      sha256,
    ])
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw new Error(`migration ${name}: ${error instanceof Error ? error.message : error}`, { cause: error })
  }
}
