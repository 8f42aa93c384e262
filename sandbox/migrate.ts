/** `npm run migrate`: brings the database of DATABASE_URL to this version, as its owner. A sandbox does this by itself. */
import { join } from 'node:path'
import { databaseUrl, readConfig } from '@bankside/service-kit/config'
import { migrate } from '@bankside/service-kit/migrate'
import { z } from 'zod'
import { repository } from './settings.ts'

try {
  const { DATABASE_URL: url } = readConfig(z.object({ DATABASE_URL: databaseUrl }))
  const applied = await migrate(url, join(repository, 'migrations'))
  console.log(applied.length === 0 ? 'The database is up to date.' : `Applied ${applied.join(', ')}.`)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
