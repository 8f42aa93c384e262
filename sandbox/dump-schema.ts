/** Writes `migrations/schema.sql`: what the migrations add up to, for reviewers and for the test that compares it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dumpSchema } from '@bankside/service-kit/schema-dump'
import { createTestDatabase } from '@bankside/service-kit/test-database'

const database = await createTestDatabase()
try {
  const path = join(import.meta.dirname, '..', 'migrations', 'schema.sql')
  writeFileSync(path, await dumpSchema(database.ownerUrl))
  console.log(`wrote ${path}`)
} finally {
  await database.drop()
}
