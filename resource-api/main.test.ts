import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { ConfigError, currentEnvironment } from '@bankside/service-kit/config'
import { freePorts } from '@bankside/service-kit/free-ports'
import { readSettings } from './config.ts'
import { audiences, issuerUrl } from './testing/test-issuer.ts'
import { startTestWorld, type TestWorld } from './testing/test-world.ts'

const main = join(import.meta.dirname, 'main.ts')
const folder = mkdtempSync(join(tmpdir(), 'resource api '))
let world: TestWorld

before(async () => {
  world = await startTestWorld()
})
after(async () => {
  await world.close()
  rmSync(folder, { recursive: true })
})

async function settings(): Promise<Record<string, string>> {
  const file = (name: string, content: string) => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  const { cert, key } = world.issuer.serverCertificate
  const [certFile, keyFile, caFile] = [file('server.crt', cert), file('server.key', key), file('ca.crt', world.issuer.ca)]
  return {
    ISSUER: issuerUrl,
    RESOURCE_API: 'https://rs.bankside.test',
    RESOURCE_API_PORT: String(await freePorts()),
    OPERATIONS_PORT: String(await freePorts()),
    LISTEN_ADDRESS: '127.0.0.1',
    UK_AUDIENCE: audiences.uk,
    BANK_AUDIENCE: audiences.bank,
    DATABASE_URL: world.apiOptions.databaseUrl,
    ...{ TLS_RSA_KEY_FILE: keyFile, TLS_RSA_CERT_FILE: certFile, TLS_EC_KEY_FILE: keyFile, TLS_EC_CERT_FILE: certFile },
    CLIENT_CA_FILE: caFile,
    JWKS_URI: world.issuer.jwksUri,
    ISSUER_CA_FILE: caFile,
  }
}

test('every problem of the configuration is told at once, and no value is repeated', async () => {
  const bad = { ...(await settings()), ISSUER: 'http://secret', RESOURCE_API_PORT: '70000', DATABASE_URL: 'mysql://user:secret@host/db' }
  assert.throws(
    () => readSettings({ ...bad, JWKS_URI: undefined }),
    (error) => error instanceof ConfigError && error.problems.length === 4 && !error.message.includes('secret'),
  )
})

test('the process starts, says that it is ready, answers, and ends when it is told to', async () => {
  const given = await settings()
  const child = spawn(process.execPath, [main], {
    env: { PATH: currentEnvironment()['PATH'], ...given },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const output = Promise.all([
    text(child.stdout as NonNullable<typeof child.stdout>),
    text(child.stderr as NonNullable<typeof child.stderr>),
  ])
  const [message] = await Promise.race([once(child, 'message'), output.then((lines) => assert.fail(lines.join('\n')))])
  assert.deepEqual(message, { ready: true })

  const operations = `http://127.0.0.1:${given['OPERATIONS_PORT']}`
  const ready = await fetch(`${operations}/health/ready`)
  assert.deepEqual([ready.status, ((await ready.json()) as { checks: unknown }).checks], [200, { database: 'ok', issuer_keys: 'ok' }])
  assert.match(await (await fetch(`${operations}/metrics`)).text(), /bankside_/)

  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  assert.equal(code, 0)
  const [lines] = await output
  for (const line of lines.trim().split('\n')) assert.ok(JSON.parse(line), line)
})

test('a configuration that is not one ends the process with the problems, and no stack', async () => {
  const child = spawn(process.execPath, [main], { env: { PATH: currentEnvironment()['PATH'] }, stdio: ['ignore', 'pipe', 'pipe'] })
  const [told, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  assert.equal(code, 1)
  assert.match(told, /DATABASE_URL is missing/)
  assert.doesNotMatch(told, /at .*\.ts/)
})
