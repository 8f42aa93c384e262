import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { freePorts } from './free-ports.ts'

/** So many that they would meet by chance. */
const each = 300

test('ports that were given out are neighbours, nobody listens on them, and outgoing connections are never given them', async () => {
  const first = await freePorts(10)
  const servers = Array.from({ length: 10 }, (_, offset) => createServer().listen(first + offset, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  for (const server of servers) server.close()
  assert.ok(first >= 12_000 && first + 10 <= 30_000, `${first}`)
})

test('no two are given the same, however many ask at once, in however many processes, as long as these live', async () => {
  const asking = `
    import { freePorts } from ${JSON.stringify(new URL('./free-ports.ts', import.meta.url))}
    process.send(await Promise.all(Array.from({ length: ${each} }, () => freePorts())))
    process.on('message', () => {})`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', asking], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const failed = once(child, 'exit').then(() => assert.fail('it ended'))
  const [[theirs], ours] = await Promise.all([
    Promise.race([once(child, 'message') as Promise<[number[]]>, failed]),
    Promise.all(Array.from({ length: each }, () => freePorts())),
  ])
  assert.equal(new Set([...theirs, ...ours]).size, 2 * each)
  assert.equal(await isHeld(theirs[0]), true)
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.equal(await isHeld(theirs[0]), false)
})

async function isHeld(port: number | undefined): Promise<boolean> {
  const socket = createSocket('udp4').bind({ port, address: '127.0.0.1', exclusive: true })
  const held = await once(socket, 'listening').then(
    () => false,
    () => true,
  )
  if (!held) socket.close()
  return held
}
