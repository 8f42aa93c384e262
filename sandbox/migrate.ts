/**
 * `npm run migrate`: brings the database of DATABASE_URL to this version, as its owner, and sets the passwords of the
 * processes' roles if they are given. A sandbox does this by itself.
 */
import { join } from 'node:path'
import { databaseUrl, readConfig } from '@bankside/service-kit/config'
import { migrate } from '@bankside/service-kit/migrate'
import { type Role, setRolePasswords } from '@bankside/service-kit/role-passwords'
import { z } from 'zod'
import { repository } from './settings.ts'

const password = z.string().min(16, 'must have at least 16 characters').optional()

export const migrateSettings = z.object({
  DATABASE_URL: databaseUrl,
  AUTH_SERVER_PASSWORD: password,
  RESOURCE_API_PASSWORD: password,
  WORKER_PASSWORD: password,
  LEDGER_PASSWORD: password,
  SEALER_PASSWORD: password,
})

if (import.meta.main) {
  try {
    await run()
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}

async function run(): Promise<void> {
  const given = readConfig(migrateSettings)
  const applied = await migrate(given.DATABASE_URL, join(repository, 'migrations'))
  console.log(applied.length === 0 ? 'The database is up to date.' : `Applied ${applied.join(', ')}.`)
  const passwords: Partial<Record<Role, string | undefined>> = {
    bankside_auth_server: given.AUTH_SERVER_PASSWORD,
    bankside_resource_api: given.RESOURCE_API_PASSWORD,
    bankside_worker: given.WORKER_PASSWORD,
    bankside_ledger: given.LEDGER_PASSWORD,
    bankside_sealer: given.SEALER_PASSWORD,
  }
  await setRolePasswords(given.DATABASE_URL, (role) => passwords[role])
}
