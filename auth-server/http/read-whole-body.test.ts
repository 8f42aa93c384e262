import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { maxBodyBytes, readWhole } from './read-whole-body.ts'

let read: (message: IncomingMessage) => Promise<void> = async () => {}
const server = createServer((message, response) => {
  readWhole(message)
  read(message).then(
    () => response.end(),
    () => response.end(),
  )
})
before(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
after(() => server.close())

const post = () => {
  const { port } = server.address() as AddressInfo
  return request({ host: '127.0.0.1', port, method: 'POST', agent: false })
}
const chunksOf = async (message: IncomingMessage): Promise<Buffer[]> => {
  const chunks: Buffer[] = []
  for await (const chunk of message.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer)
  return chunks
}

test('a body is read whole, in however many pieces it came, and when there is nothing in it', async () => {
  for (const pieces of [['one'], ['a', 'b', 'é'.repeat(1_000)], [], ['x'.repeat(maxBodyBytes)]]) {
    const sent = post()
    const got = new Promise<Buffer[]>((resolve, reject) => {
      read = async (message) => chunksOf(message).then(resolve, reject)
    })
    for (const piece of pieces) {
      sent.write(piece)
      await new Promise((done) => setImmediate(done))
    }
    sent.end()
    assert.equal(Buffer.concat(await got).toString(), pieces.join(''))
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    response.resume()
  }
})

test('of a body that is too long no more is kept than shows it, and the rest is dropped', async () => {
  const sent = post()
  // The answer comes, and the connection ends, before all is sent.
  sent.on('error', () => {})
  let length = 0
  read = async (message) => {
    for (const chunk of await chunksOf(message)) length += chunk.length
  }
  sent.end(Buffer.alloc(4_000_000))
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  response.resume()
  assert.ok(length > maxBodyBytes && length < 4_000_000, String(length))
})

test('who goes away before the end of its body leaves nobody waiting', async () => {
  const sent = post()
  sent.on('error', () => {})
  const failed = new Promise((resolve) => {
    read = async (message) => chunksOf(message).then(() => resolve('read'), resolve)
  })
  sent.setHeader('content-length', 100)
  sent.write('a few bytes')
  await new Promise((done) => setTimeout(done, 50))
  sent.destroy()
  assert.ok((await failed) instanceof Error)
})
