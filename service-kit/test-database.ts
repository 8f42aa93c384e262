import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import pg from 'pg'
import { migrate, readMigrations } from './migrate.ts'
import { setRolePasswords, urlAs } from './role-passwords.ts'
import { testPostgresUrl } from './test-postgres.ts'

export type TestDatabase = {
  readonly ownerUrl: string
  readonly authServerUrl: string
  readonly resourceApiUrl: string
  readonly workerUrl: string
  /** Of whoever may move money between any accounts. */
  readonly ledgerUrl: string
  /** Of whoever seals what was booked and recorded. */
  readonly sealerUrl: string
  drop(): Promise<void>
}

const migrations = join(import.meta.dirname, '..', 'migrations')
const templateLock = 7_246_101

/** A migrated, empty database of one's own: a copy of a template that is made once for each state of `migrations/`. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const serverUrl = await testPostgresUrl()
  const name = `bankside_test_${randomBytes(8).toString('hex')}`
  await asAdministrator(serverUrl, async (administrator) => {
    const template = await ensureTemplate(administrator, serverUrl)
    await administrator.query(`create database ${name} template ${template}`)
  })
  const ownerUrl = urlOf(serverUrl, name)
  return {
    ownerUrl,
    authServerUrl: urlAs(ownerUrl, 'bankside_auth_server'),
    resourceApiUrl: urlAs(ownerUrl, 'bankside_resource_api'),
    workerUrl: urlAs(ownerUrl, 'bankside_worker'),
    ledgerUrl: urlAs(ownerUrl, 'bankside_ledger'),
    sealerUrl: urlAs(ownerUrl, 'bankside_sealer'),
    drop: () =>
      asAdministrator(serverUrl, async (administrator) => void (await administrator.query(`drop database if exists ${name} with (force)`))),
  }
}

/** Nobody may be connected to a template while it is copied, so it takes its name only when it is finished. */
async function ensureTemplate(administrator: pg.Client, serverUrl: string): Promise<string> {
  const template = `bankside_template_${hashOf(migrations)}`
  const exists = async () => (await administrator.query('select from pg_database where datname = $1', [template])).rowCount === 1
  if (await exists()) return template
  await administrator.query('select pg_advisory_lock($1)', [templateLock])
  try {
    if (await exists()) return template
    const building = `${template}_building`
    await administrator.query(`drop database if exists ${building} with (force)`)
    await administrator.query(`create database ${building}`)
    await migrate(urlOf(serverUrl, building), migrations)
    await setRolePasswords(serverUrl)
    await administrator.query(`alter database ${building} with allow_connections false`)
    await administrator.query(`alter database ${building} rename to ${template}`)
    return template
  } finally {
    await administrator.query('select pg_advisory_unlock($1)', [templateLock])
  }
}

function hashOf(directory: string): string {
  const hash = createHash('sha256')
  for (const { name, sha256 } of readMigrations(directory)) hash.update(`${name} ${sha256}\n`)
  return hash.digest('hex').slice(0, 16)
}

async function asAdministrator<Result>(serverUrl: string, work: (administrator: pg.Client) => Promise<Result>): Promise<Result> {
  const administrator = new pg.Client({ connectionString: serverUrl })
  await administrator.connect()
  try {
    return await work(administrator)
  } finally {
    await administrator.end()
  }
}

function urlOf(serverUrl: string, database: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${database}`
  return url.href
}
