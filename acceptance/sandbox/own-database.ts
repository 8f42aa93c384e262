import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import pg from 'pg'

const repository = path.join(import.meta.dirname, '../..')

/**
 * The PostgreSQL that a whole test run shares: `npm test` names it. A test file that is run alone asks for it in a process
 * of its own, so that nothing of ours is imported here.
 */
export function sharedServer(): string {
  const given = process.env['TEST_DATABASE_URL']
  if (given) return given
  const program = `import { testPostgresUrl } from './service-kit/test-postgres.ts'; process.stdout.write(await testPostgresUrl())`
  return execFileSync(process.execPath, ['--input-type=module', '-e', program], { cwd: repository, encoding: 'utf8' })
}

export type OwnDatabase = { readonly url: string; drop(): Promise<void> }

/** An empty database on the PostgreSQL that the whole test run shares. The sandbox migrates it itself, as it would a new one. */
export async function createOwnDatabase(serverUrl: string): Promise<OwnDatabase> {
  const name = `bankside_sandbox_${randomBytes(8).toString('hex')}`
  await administer(serverUrl, `create database ${name}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return { url: url.href, drop: () => administer(serverUrl, `drop database if exists ${name} with (force)`) }
}

async function administer(serverUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** One question to a database, as its owner. */
export async function askDatabase<Row extends pg.QueryResultRow>(
  url: string,
  question: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(question, [...values])).rows
  } finally {
    await client.end()
  }
}
