import assert from 'node:assert/strict'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import tls from 'node:tls'
import { createMetrics } from '@bankside/service-kit/metrics'
import { startResourceApi } from './resource-api.ts'
import { startTestWorld, type TestWorld } from './testing/test-world.ts'

let world: TestWorld
before(async () => {
  world = await startTestWorld()
})
after(() => world.close())

async function exchange(sent: string, { port = world.api.port } = {}): Promise<string> {
  const socket = tls.connect({ host: 'localhost', port, ca: world.issuer.ca, servername: 'localhost' })
  await once(socket, 'secureConnect')
  socket.write(Buffer.from(sent, 'latin1'))
  return text(socket)
}

const path = '/open-banking/v4.0/aisp/accounts'
const host = 'Host: localhost\r\nConnection: close\r\n'
const chunks = '0\r\n\r\n'
const long = 'x'.repeat(20_000)

/** Headers that every answer of the process has, whoever gives it. */
function assertHardened(answer: string): void {
  for (const header of [
    /\r\nx-fapi-interaction-id: [0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\r\n/i,
    /\r\ndate: \w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT\r\n/i,
    /\r\ncache-control: no-store\r\n/i,
    /\r\ncontent-security-policy: default-src 'none'; frame-ancestors 'none'\r\n/i,
    /\r\nreferrer-policy: no-referrer\r\n/i,
    /\r\nstrict-transport-security: max-age=31536000; includeSubDomains\r\n/i,
    /\r\nx-content-type-options: nosniff\r\n/i,
    /\r\nconnection: close\r\n/i,
  ])
    assert.match(answer, header)
  assert.doesNotMatch(answer, /\r\n(server|x-powered-by):/i)
}

const refused: [label: string, status: number, sent: string][] = [
  ['no HTTP', 400, 'NONSENSE\r\n\r\n'],
  ['the preface of HTTP/2', 400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['HTTP/0.9', 400, `GET ${path}\r\n\r\n`],
  ['HTTP/1.1 without a host', 400, `GET ${path} HTTP/1.1\r\nConnection: close\r\n\r\n`],
  ['two hosts', 400, `GET ${path} HTTP/1.1\r\nHost: other\r\n${host}\r\n`],
  ['an unknown expectation', 417, `GET ${path} HTTP/1.1\r\nExpect: miracles\r\n${host}\r\n`],
  ['headers that are too long', 431, `GET ${path} HTTP/1.1\r\nx-long: ${long}\r\n${host}\r\n`],
  ['more than a hundred headers', 431, `GET ${path} HTTP/1.1\r\n${'x: 1\r\n'.repeat(101)}${host}\r\n`],
  ['a target that is too long', 431, `GET ${path}?${long} HTTP/1.1\r\n${host}\r\n`],
  ['a target that is no URL', 400, `GET http://[ HTTP/1.1\r\n${host}\r\n`],
  ['a target without a path', 400, `GET https://localhost HTTP/1.1\r\n${host}\r\n`],
  ['a target with a fragment', 400, `GET ${path}#part HTTP/1.1\r\n${host}\r\n`],
  ['a target with bytes that are none', 400, `GET ${path}/\xe9 HTTP/1.1\r\n${host}\r\n`],
  ['NUL', 400, `GET ${path}\0 HTTP/1.1\r\n${host}\r\n`],
  ['a header that goes on in the next line', 400, `GET ${path} HTTP/1.1\r\nx: a\r\n b\r\n${host}\r\n`],
  ['a space before a colon', 400, `GET ${path} HTTP/1.1\r\nAuthorization : x\r\n${host}\r\n`],
  ['lines that end in LF alone', 400, `GET ${path} HTTP/1.1\nHost: localhost\n\n`],
  ['a length twice', 400, `POST ${path} HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n${host}\r\n`],
  ['a length below nothing', 400, `POST ${path} HTTP/1.1\r\nContent-Length: -1\r\n${host}\r\n`],
  ['both a length and chunks', 400, `POST ${path} HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n${host}\r\n${chunks}`],
  ['chunks in HTTP/1.0', 400, `POST ${path} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n${host}\r\n${chunks}`],
  ['a compressed transfer', 400, `POST ${path} HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n${host}\r\n${chunks}`],
  ['chunks that are none', 400, `POST ${path} HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n${host}\r\n${chunks}`],
  ['a tunnel', 405, `CONNECT localhost:443 HTTP/1.1\r\n${host}\r\n`],
]
for (const [label, status, sent] of refused)
  test(`RW-H-02 NAT-A9 ${label}: ${status} with the headers of every answer`, async () => {
    const answer = await exchange(sent)
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), answer)
    assertHardened(answer)
    assert.doesNotMatch(answer, /\r\ncontent-type:/i)
  })

const answered: [label: string, status: number, sent: string][] = [
  ['HTTP/1.0, with a host or without', 401, `GET ${path} HTTP/1.0\r\n\r\n`],
  ['a target that names a host, whichever', 401, `GET https://elsewhere.test${path} HTTP/1.1\r\n${host}\r\n`],
  ['OPTIONS *', 404, `OPTIONS * HTTP/1.1\r\n${host}\r\n`],
  ['TRACE', 405, `TRACE ${path} HTTP/1.1\r\n${host}\r\n`],
  ['an upgrade', 401, `GET ${path} HTTP/1.1\r\nUpgrade: websocket\r\n${host}\r\n`],
  ['two slashes before the path', 404, `GET //localhost${path} HTTP/1.1\r\n${host}\r\n`],
]
for (const [label, status, sent] of answered)
  test(`RW-H-02 NAT-A9 ${label}: ${status}, like any request`, async () => {
    const answer = await exchange(sent)
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), answer)
    assertHardened(answer)
  })

test('RW-H-02 NAT-A9 413, 500 and 503 have the headers of every answer', async () => {
  const cnf = { jkt: world.acorn.cnf.jkt }
  const token = await world.tokenFor(world.acorn, { scope: 'accounts', cnf })
  const large = JSON.stringify({ Data: 'x'.repeat(70_000) })
  const send = async (port: number, body: string, more = '') => {
    const lodge = '/open-banking/v4.0/aisp/account-access-consents'
    const lines = [
      `Authorization: DPoP ${token}`,
      `DPoP: ${await world.acorn.prove('POST', lodge, token)}`,
      'Content-Type: application/json',
    ]
    return exchange(`POST ${lodge} HTTP/1.1\r\n${lines.join('\r\n')}\r\nContent-Length: ${body.length}${more}\r\n${host}\r\n${body}`, {
      port,
    })
  }
  const elsewhere = await startResourceApi({
    ...world.apiOptions,
    registry: createMetrics('test'),
    issuer: { ...world.apiOptions.issuer, jwksUri: 'https://localhost:1/jwks' },
  })
  const small = JSON.stringify({ Data: { Permissions: ['ReadAccountsBasic'] }, Risk: {} })
  const [tooLarge, unavailable] = [await send(world.api.port, large), await send(elsewhere.port, small)]
  await elsewhere.close()
  world.clock.now = () => new Date(Number.NaN)
  const fault = await send(world.api.port, small)
  world.clock.now = () => new Date()
  for (const [answer, status] of [
    [tooLarge, 413],
    [unavailable, 503],
    [fault, 500],
  ] as const) {
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), answer)
    assertHardened(answer)
  }
})
