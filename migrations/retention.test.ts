import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

test('of each table it is said by how much it grows, and what becomes of that', async () => {
  const [schema, retention] = await Promise.all(
    ['migrations/schema.sql', 'docs/retention.md'].map((path) => readFile(join(import.meta.dirname, '..', path), 'utf8')),
  )
  const tables = [...(schema ?? '').matchAll(/^create table ([\w."]+) \(/gm)].map(([, name = '']) => name.replaceAll('"', ''))
  const named = [...(retention ?? '').split('## What grows')[1]!.matchAll(/`(\w+\.\w+)`/g)].map(([, name = '']) => name)
  assert.ok(tables.length > 50)
  assert.deepEqual(tables.toSorted(), named.toSorted())
})
