import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readMigrations } from '@bankside/service-kit/migrate'
import { dumpSchema } from '@bankside/service-kit/schema-dump'
import { createTestDatabase } from '@bankside/service-kit/test-database'

test('schema.sql is what the migrations add up to: a review sees what a migration does', async () => {
  const database = await createTestDatabase()
  try {
    const committed = await readFile(join(import.meta.dirname, 'schema.sql'), 'utf8')
    assert.equal(
      unqualified(await dumpSchema(database.ownerUrl)),
      unqualified(committed),
      'run: node sandbox/run.mjs sandbox/dump-schema.ts',
    )
  } finally {
    await database.drop()
  }
})

/** PostgreSQL before 16 writes the table before every column of a view, later ones only where there are several tables. */
function unqualified(schema: string): string {
  return schema.replaceAll(/(?<![.\w])account\.(?=[a-z])/g, '')
}

test('a number names one migration, so that everybody has the same order in mind: they are applied in the order of their whole names', () => {
  const numbers = readMigrations(import.meta.dirname).map(({ name }) => name.slice(0, 4))
  const twice = numbers.filter((number, index) => numbers.indexOf(number) !== index)
  assert.deepEqual(twice, ['0232'], 'give yours a number of its own; 0232 was given twice before this was looked at')
})
