import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createMetrics } from './metrics.ts'
import { type Operations, startOperations } from './operations-server.ts'

let operations: Operations
let database: () => Promise<unknown> = async () => {}

before(async () => {
  operations = await startOperations({
    port: 0,
    address: '127.0.0.1',
    checks: { database: () => database() },
    registry: createMetrics('test'),
  })
})
after(() => operations.close())

async function get(path: string, method = 'GET') {
  const response = await fetch(`http://127.0.0.1:${operations.port}${path}`, { method })
  const text = await response.text()
  return { status: response.status, text }
}

test('a dependency that fails or is too slow makes the process not ready, with its name and without its reason; it stays live', async () => {
  database = async () => {
    throw new Error('password for bank-db-7 refused')
  }
  assert.deepEqual(await get('/health/ready'), { status: 503, text: '{"status":"not ready","checks":{"database":"failed"}}' })
  database = () => new Promise((done) => setTimeout(done, 4_000).unref())
  assert.deepEqual(await get('/health/ready'), { status: 503, text: '{"status":"not ready","checks":{"database":"too slow"}}' })
  assert.equal((await get('/health/live')).status, 200)
})

test('an unknown path is 404, another method 405', async () => {
  assert.equal((await get('/')).status, 404)
  assert.equal((await get('/health/ready', 'POST')).status, 405)
})

test('ready when everything answers; metrics in the format of Prometheus, with the name of the process', async () => {
  database = async () => 'anything'
  assert.deepEqual(await get('/health/ready?probe=1'), { status: 200, text: '{"status":"ready","checks":{"database":"ok"}}' })
  const { status, text } = await get('/metrics')
  assert.equal(status, 200)
  assert.match(text, /^process_cpu_seconds_total\{process="test"\} /m)
})

test('from the moment it drains it says that it is not ready', async () => {
  operations.drain()
  assert.equal((await get('/health/ready')).status, 503)
  assert.equal((await get('/health/live')).status, 200)
})
