import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import pg from 'pg'
import { runningPort, startEmbeddedPostgres, throwaway } from './embedded-postgres.ts'
import { freePorts } from './free-ports.ts'

// A path with spaces, below a folder that is closed to other users.
const parent = mkdtempSync(join(tmpdir(), 'bankside embedded '))
chmodSync(parent, 0o700)
after(() => rmSync(parent, { recursive: true, force: true }))

async function ask(url: string, text: string): Promise<unknown> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return Object.values((await client.query(text)).rows[0] ?? {})[0]
  } finally {
    await client.end()
  }
}

test('two first starts at once share one server; the data are there after a stop; the port is kept', async () => {
  const folder = join(parent, 'first start')
  const port = await freePorts()
  const options = { folder, port, database: 'bank', settings: throwaway }
  const [one, other] = await Promise.all([startEmbeddedPostgres(options), startEmbeddedPostgres(options)])
  try {
    assert.deepEqual([one.reused, other.reused].toSorted(), [false, true])
    assert.equal(one.url, other.url)
    assert.equal(new URL(one.url).port, String(port))
    await ask(one.url, 'create table kept (n int)')
  } finally {
    await one.stop()
  }
  assert.equal(runningPort(folder), undefined)
  await assert.rejects(ask(one.url, 'select 1'))
  const again = await startEmbeddedPostgres(options)
  try {
    assert.equal(await ask(again.url, `select to_regclass('kept')::text`), 'kept')
    assert.equal(await ask(again.url, 'show fsync'), 'off')
  } finally {
    await again.stop()
  }
})

test('only the loopback address, only with the password, which only the owner may read', async () => {
  const folder = join(parent, 'access')
  const server = await startEmbeddedPostgres({ folder, settings: throwaway })
  try {
    assert.equal(await ask(server.url, 'show listen_addresses'), '127.0.0.1')
    assert.equal(await ask(server.url, 'show unix_socket_directories'), '')
    const wrong = new URL(server.url)
    wrong.password = 'wrong'
    await assert.rejects(ask(wrong.href, 'select 1'), { code: '28P01' })
    assert.equal(statSync(join(folder, 'password')).mode & 0o777, 0o600)
    await assert.rejects(ask(server.url, `select 'a secret value'::int`))
    assert.doesNotMatch(readFileSync(join(folder, 'postgres.log'), 'utf8'), /select 'a secret/)
  } finally {
    await server.stop()
  }
})

test('what a killed first start left is made again, and a left-over process file is not believed', async () => {
  const folder = join(parent, 'killed')
  mkdirSync(join(folder, 'data.new'), { recursive: true })
  await startEmbeddedPostgres({ folder, settings: throwaway })
  try {
    assert.ok(!existsSync(join(folder, 'data.new')))
    const pid = Number(readFileSync(join(folder, 'data', 'postmaster.pid'), 'utf8').split('\n')[0])
    process.kill(pid, 'SIGKILL')
    for (let tries = 0; runningPort(folder) !== undefined && tries < 100; tries++) await new Promise((done) => setTimeout(done, 20))
  } finally {
    const again = await startEmbeddedPostgres({ folder, settings: throwaway })
    assert.equal(again.reused, false)
    assert.equal(await ask(again.url, 'select 1'), 1)
    await again.stop()
  }
})

test('a port that is taken is an error that says so, and nothing is left running', async () => {
  const first = await startEmbeddedPostgres({ folder: join(parent, 'holder'), settings: throwaway })
  try {
    const folder = join(parent, 'second')
    const port = Number(new URL(first.url).port)
    await assert.rejects(startEmbeddedPostgres({ folder, port, settings: throwaway }), /PostgreSQL did not start/)
    assert.equal(runningPort(folder), undefined)
  } finally {
    await first.stop()
  }
})
