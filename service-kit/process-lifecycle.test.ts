import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

/** A server that answers after 300 ms, and drains. `extra` runs once it is ready. */
const program = (extra: string) => `
  import { createServer } from 'node:http'
  import { createLog } from './log.ts'
  import { runUntilStopped } from './process-lifecycle.ts'
  import { drain, listen } from './tls-server.ts'
  const server = createServer((request, response) => setTimeout(() => response.end('whole'), 300))
  const port = await listen(server, { port: 0, address: '127.0.0.1' })
  process.send({ port })
  runUntilStopped({ log: createLog({ level: 'info', name: 'test' }), stop: () => drain(server, { limitMs: 2_000 }), stopTakesAtMostMs: 1_500 })
  ${extra}`

type Running = { child: ChildProcess; port: number; said: Promise<string> }

async function start(extra = ''): Promise<Running> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program(extra)], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const said = text(child.stdout as NonNullable<typeof child.stdout>)
  const messages: Record<string, unknown>[] = []
  child.on('message', (message) => messages.push(message as Record<string, unknown>))
  while (!messages.some((message) => message['ready'] === true)) await once(child, 'message')
  return { child, port: Number(messages.find((message) => 'port' in message)?.['port']), said }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal}, twice: the running request is answered whole, new ones are not taken, the process ends with 0`, async () => {
    const { child, port, said } = await start()
    const ended = once(child, 'exit')
    const running = fetch(`http://127.0.0.1:${port}/`).then((response) => response.text())
    await sleep(100)
    child.kill(signal)
    await sleep(50)
    child.kill(signal)
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`))
    assert.equal(await running, 'whole')
    assert.deepEqual(await ended, [0, null])
    assert.match(await said, /"msg":"ready"[\s\S]*"msg":"stopping"[\s\S]*"msg":"stopped"/)
  })
}

test('a process whose parent is gone stops', async () => {
  const { child } = await start()
  const ended = once(child, 'exit')
  child.disconnect()
  assert.deepEqual(await ended, [0, null])
})

test('a fault that nobody caught is logged as fatal, and the process ends with 1', async () => {
  for (const extra of [
    `setTimeout(() => { throw new Error('nobody caught it') }, 20)`,
    `setTimeout(() => Promise.reject(new Error('nobody caught it')), 20)`,
  ]) {
    const { child, said } = await start(extra)
    assert.deepEqual(await once(child, 'exit'), [1, null])
    assert.match(await said, /"level":60.*nobody caught it/)
  }
})

test('a process that cannot stop in time ends anyway, with 1', async () => {
  const { child, port } = await start(`server.on('request', (request, response) => response.write('never ends'))
    server.removeAllListeners('request').on('request', (request, response) => response.write('never ends'))
    server.closeAllConnections = () => {}`)
  const ended = once(child, 'exit')
  fetch(`http://127.0.0.1:${port}/`).catch(() => {})
  await sleep(100)
  child.kill('SIGTERM')
  assert.deepEqual(await ended, [1, null])
})
