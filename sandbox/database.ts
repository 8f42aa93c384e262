import { join } from 'node:path'
import { startEmbeddedPostgres } from '@bankside/service-kit/embedded-postgres'
import { migrate } from '@bankside/service-kit/migrate'
import { type Database, openDatabase, sql, z } from '@bankside/service-kit/postgres'
import { setRolePasswords } from '@bankside/service-kit/role-passwords'
import { Problem } from './problem.ts'
import { placesIn, repository, type Settings } from './settings.ts'

const oldestVersion = 150_000
const databaseName = 'bankside'
/** Signing in takes a turn in the thread pool, behind the keys that are made for the certificates meanwhile. */
const answersWithinMs = 60_000

export type SandboxDatabase = { readonly ownerUrl: string; readonly migrated: readonly string[]; stop(): Promise<void> }

/** The embedded PostgreSQL of this sandbox, or the external one, migrated, with passwords for the processes' roles. */
export async function startDatabase({ home, ports, databaseUrl }: Settings): Promise<SandboxDatabase> {
  const embedded =
    databaseUrl === undefined
      ? await startEmbeddedPostgres({ folder: placesIn(home).postgres, port: ports.postgres, database: databaseName })
      : undefined
  const ownerUrl = embedded?.url ?? databaseUrl ?? ''
  const stop = async () => embedded?.stop()
  try {
    if (embedded === undefined) await refuseUnfit(ownerUrl)
    const migrated = await migrate(ownerUrl, join(repository, 'migrations'))
    await setRolePasswords(ownerUrl)
    return { ownerUrl, migrated, stop }
  } catch (error) {
    await stop()
    throw migrationProblem(error) ?? error
  }
}

/** @throws {Problem} for an external database that does not answer, is too old, or says nothing to derive passwords from. */
async function refuseUnfit(url: string): Promise<void> {
  const where = describe(url)
  if (new URL(url).password === '') throw new Problem('DATABASE_URL needs a password in it: those of the processes are derived from it.')
  const database = await openDatabase(url, { maxConnections: 1, connectTimeoutMs: answersWithinMs }).catch((error: unknown) => {
    throw new Problem(`The database of DATABASE_URL (${where}) does not answer: ${rootMessage(error)}`)
  })
  try {
    const { version } = await serverVersion(database)
    if (version < oldestVersion)
      throw new Problem(`The database of DATABASE_URL (${where}) is older than PostgreSQL ${oldestVersion / 10_000}.`)
  } finally {
    await database.end()
  }
}

function serverVersion(database: Database): Promise<{ version: number }> {
  return database.one(sql.type(z.object({ version: z.number() }))`select current_setting('server_version_num')::int as version`)
}

function migrationProblem(error: unknown): Problem | undefined {
  if (!(error instanceof Error) || !/^(migration|the database has migration) /.test(error.message)) return undefined
  return new Problem(
    `The database does not fit this version: ${error.message}.\nGo back to the version that made it, or start over with: npm run reset`,
  )
}

function describe(url: string): string {
  const { host, pathname } = new URL(url)
  return `${host}${pathname}`
}

function rootMessage(error: unknown): string {
  let cause = error
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause
  return cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : String(cause)
}
