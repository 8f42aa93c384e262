import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Database, openDatabase, statementsOf } from '@bankside/service-kit/postgres'
import { createTestDatabase, type TestDatabase } from '@bankside/service-kit/test-database'
import type { TokenClaims } from './decide-access.ts'
import { readPaymentStanding, readStanding } from './standing.ts'

const token: TokenClaims = {
  ...{ clientId: 'nobody', scopes: new Set<string>() },
  ...{ grantId: undefined, consentId: undefined, acr: undefined, authTime: undefined },
}
const sockets: Socket[] = []
const link = createServer((socket) => {
  const { hostname, port } = new URL(testDatabase.ownerUrl)
  const onward = connect(Number(port), hostname)
  sockets.push(socket, onward)
  for (const end of [socket, onward]) end.on('error', () => end.destroy())
  socket.pipe(onward).pipe(socket)
})
let testDatabase: TestDatabase
let database: Database

before(async () => {
  testDatabase = await createTestDatabase()
  link.listen(0, '127.0.0.1')
  await once(link, 'listening')
})
after(async () => {
  for (const socket of sockets) socket.destroy()
  link.close()
  await testDatabase?.drop()
})

for (const read of [readStanding, readPaymentStanding])
  test(`${read.name} goes on where one connection falls silent without being closed`, async () => {
    const url = new URL(testDatabase.ownerUrl)
    url.port = String((link.address() as AddressInfo).port)
    url.hostname = '127.0.0.1'
    database = await openDatabase(url.href)
    const ask = () => read(statementsOf(database), token)
    await ask()
    for (const socket of sockets) socket.unpipe().pause()
    let answered = 0
    for (let question = 0; question < 100; question++) {
      ask().then(
        () => answered++,
        () => {}, // Those of the silent connection, when the test ends.
      )
      if (question % 20 === 0) await sleep(20)
    }
    for (let waits = 0; answered < 50 && waits < 100; waits++) await sleep(20)
    assert.ok(answered >= 50, `${answered} of 100 questions were answered`)
  })
