import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { z } from 'zod'
import { addressList, ConfigError, databaseUrl, httpsOrigin, port, readConfig } from './config.ts'

const folder = mkdtempSync(join(tmpdir(), 'bankside config '))
after(() => rmSync(folder, { recursive: true, force: true }))

const schema = z.object({ ISSUER: httpsOrigin, PORT: port, DATABASE_URL: databaseUrl, TRUSTED_PROXY_ADDRESSES: addressList })
const good = { ISSUER: 'https://localhost:4430', PORT: '4430', DATABASE_URL: 'postgresql://a:b@c/d' }

test('every problem is reported at once, and no value is repeated, because values may be secrets', () => {
  const read = () => readConfig(schema, { ISSUER: 'http://plain', PORT: '99999', DATABASE_URL_FILE: join(folder, 'missing') })
  assert.throws(read, (error) => {
    assert.ok(error instanceof ConfigError)
    assert.deepEqual(
      error.problems.map((problem) => problem.split(':')[0]),
      ['DATABASE_URL_FILE', 'ISSUER', 'PORT'],
    )
    assert.doesNotMatch(error.message, /plain|99999/)
    return true
  })
})

test('what is missing or empty is named as missing', () => {
  assert.throws(() => readConfig(schema, { ...good, PORT: '' }), { problems: ['PORT is missing'] })
})

test('an origin with a path, with a slash at its end or without https is refused', () => {
  for (const ISSUER of ['https://localhost/', 'https://localhost:4430/path', 'http://localhost', 'localhost', 'https://LOCALHOST'])
    assert.throws(() => readConfig(schema, { ...good, ISSUER }), ConfigError, ISSUER)
})

test('values arrive typed, with defaults, and without what the schema does not name', () => {
  const config = readConfig(schema, { ...good, TRUSTED_PROXY_ADDRESSES: '10.0.0.1, 10.0.0.2', HOME: '/root' })
  assert.deepEqual(config, { ...good, PORT: 4430, TRUSTED_PROXY_ADDRESSES: ['10.0.0.1', '10.0.0.2'] })
  assert.deepEqual(readConfig(schema, good).TRUSTED_PROXY_ADDRESSES, [])
})

test('a secret is read from the file that NAME_FILE names, without the newline at its end; NAME itself wins', () => {
  const path = join(folder, 'url')
  writeFileSync(path, 'postgresql://from:file@c/d\n')
  const { DATABASE_URL: _, ...rest } = good
  assert.equal(readConfig(schema, { ...rest, DATABASE_URL_FILE: path }).DATABASE_URL, 'postgresql://from:file@c/d')
  assert.equal(readConfig(schema, { ...good, DATABASE_URL_FILE: path }).DATABASE_URL, good.DATABASE_URL)
})
