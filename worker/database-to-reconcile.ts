import { join } from 'node:path'
import { databaseUrl, readConfig } from '@bankside/service-kit/config'
import { runningPort, startEmbeddedPostgres } from '@bankside/service-kit/embedded-postgres'
import { z } from '@bankside/service-kit/postgres'

export class NothingToReconcile extends Error {
  override name = 'NothingToReconcile'
}

const settings = z.object({
  DATABASE_URL: databaseUrl.optional(),
  BANKSIDE_HOME: z.string().default(join(import.meta.dirname, '..', '.bankside')),
})

/**
 * The database that is named, or that of the sandbox which runs here.
 *
 * @throws {NothingToReconcile}
 */
export async function databaseToReconcile(): Promise<string> {
  const { DATABASE_URL, BANKSIDE_HOME } = readConfig(settings)
  if (DATABASE_URL !== undefined) return DATABASE_URL
  const folder = join(BANKSIDE_HOME, 'postgres')
  if (runningPort(folder) === undefined)
    throw new NothingToReconcile(`No sandbox runs in ${BANKSIDE_HOME}. Start one with "npm start", or set DATABASE_URL.`)
  const { url } = await startEmbeddedPostgres({ folder, database: 'bankside' })
  return url
}
