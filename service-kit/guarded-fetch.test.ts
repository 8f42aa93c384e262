import assert from 'node:assert/strict'
import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { after, before, test } from 'node:test'
import { type Credential, createAuthority } from '@bankside/certs/authority'
import { issueServerCertificate } from '@bankside/certs/sandbox-credentials'
import { createGuardedFetch, type OutboundError } from './guarded-fetch.ts'
import { isPublicAddress } from './public-address.ts'
import { listen } from './tls-server.ts'

let authority: Credential
let port: number
let asked = 0
let answer: (request: IncomingMessage, response: ServerResponse) => unknown = (_request, response) => void response.end('{"keys":[]}')
const stopping: (() => void)[] = []

before(async () => {
  const now = new Date()
  authority = await createAuthority({ commonName: 'Test authority', now })
  const server = createServer(
    await issueServerCertificate(authority, { keyKind: 'ec', now, otherNames: ['tpp.example'] }),
    (request, response) => {
      asked++
      void answer(request, response)
    },
  )
  port = await listen(server, { port: 0, address: '127.0.0.1' })
  stopping.push(() => {
    server.close()
    server.closeAllConnections()
  })
})
after(() => stopping.forEach((stop) => void stop()))

const code = (expected: string) => (error: OutboundError) => error.code === expected
const local = (more: object = {}) => createGuardedFetch({ ca: authority.cert, privateHosts: ['localhost'], ...more })
const url = (path = '/jwks', host = 'localhost') => `https://${host}:${port}${path}`

const inside = [
  ...[
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0x7f.1',
    '0177.0.0.1',
    '017700000001',
    '127.0.0.1.',
    '１２７.0.0.1',
    '127。0。0。1',
  ],
  ...['0', '0.0.0.0', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '100.100.100.200', '192.0.0.192'],
  ...['169.254.169.254', '0xa9fea9fe', '2852039166', '168.63.129.16', '198.18.0.1', '224.0.0.1', '255.255.255.255'],
  ...['[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:a9fe:a9fe]', '[::127.0.0.1]', '[0:0:0:0:0:ffff:7f00:1]', '[64:ff9b::7f00:1]'],
  ...['[64:ff9b:1::a00:1]', '[2002:7f00:1::]', '[2001:0:7f00:1::]', '[fc00::1]', '[fd00:ec2::254]', '[fe80::1]', '[fec0::1]', '[ff02::1]'],
]

for (const host of inside)
  test(`DCR-06 SSRF https://${host} leads into the bank's network and is not asked`, async () => {
    const before = asked
    await assert.rejects(createGuardedFetch({ ca: authority.cert })(`https://${host}:${port}/jwks`), code('not_allowed'))
    assert.equal(asked, before)
  })

for (const address of [
  'http://tpp.example/jwks',
  'file:///etc/passwd',
  'ftp://tpp.example/',
  'data:,x',
  'https://',
  'gopher://tpp.example',
  'https://u:p@tpp.example/',
])
  test(`DCR-06 SSRF ${address} is no address that is asked`, () => assert.rejects(local()(address), code('not_allowed')))

test('DCR-06 SSRF a name that leads to a private address is not asked, also beside public ones', async () => {
  for (const addresses of [['10.0.0.7'], ['93.184.215.14', '127.0.0.1'], ['2606:2800:21f:cb07::1', 'fd00::1'], ['fe80::1%eth0']]) {
    const guarded = createGuardedFetch({ ca: authority.cert, resolve: async () => addresses })
    await assert.rejects(guarded(url('/jwks', 'tpp.example')), code('not_allowed'), String(addresses))
  }
  await assert.rejects(createGuardedFetch({ ca: authority.cert })(url()), code('not_allowed'), 'localhost is not public')
})

test('DCR-06 SSRF DNS rebinding: a name is looked up once, and connected to where it led then', async () => {
  let lookups = 0
  const resolve = async () => [lookups++ === 0 ? '127.0.0.1' : '192.0.2.1']
  const guarded = createGuardedFetch({ ca: authority.cert, privateHosts: [`tpp.example:${port}`], resolve })
  assert.equal((await guarded(url('/jwks', 'tpp.example'))).status, 200)
  assert.equal(lookups, 1)
  await assert.rejects(guarded(`https://tpp.example:${port + 1}/`), code('not_allowed'), 'another port of that host')
})

test('DCR-06 SSRF a redirect is not followed, wherever it leads', async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    answer = (request, response) =>
      void (request.url === '/inside' ? response.end('secret') : response.writeHead(status, { location: url('/inside') }).end())
    const before = asked
    await assert.rejects(local()(url()), code('redirected'))
    assert.equal(asked, before + 1)
  }
})

test('DCR-06 SSRF an answer that is too long is given up, whether it says so or not', async () => {
  answer = (_request, response) => void response.end('x'.repeat(70_000))
  await assert.rejects(local()(url()), code('too_large'))
  answer = (_request, response) => {
    const more = () => void (response.destroyed || response.write('x'.repeat(10_000), more))
    more()
  }
  await assert.rejects(local()(url()), code('too_large'))
  answer = (_request, response) => void response.writeHead(200, { 'x-long': 'x'.repeat(10_000) }).end()
  await assert.rejects(local()(url()), code('unreachable'))
})

test('DCR-06 SSRF an answer that never comes, or never ends, is given up', async () => {
  answer = () => {}
  await assert.rejects(local({ timeoutMs: 100 })(url()), code('too_slow'))
  answer = (_request, response) => void response.writeHead(200).write('{')
  await assert.rejects(local({ timeoutMs: 100 })(url()), code('too_slow'))
  const never = createGuardedFetch({ timeoutMs: 100, resolve: () => new Promise(() => {}) })
  await assert.rejects(never('https://tpp.example/'), code('too_slow'), 'a resolver that never answers')
})

test('DCR-06 a server that nobody vouches for is not talked to', () =>
  assert.rejects(createGuardedFetch({ privateHosts: ['localhost'] })(url()), code('unreachable')))

test('DCR-06 no more than so many requests are under way at once', async () => {
  const held: ServerResponse[] = []
  answer = (_request, response) => void held.push(response)
  const guarded = local({ timeoutMs: 5_000 })
  const many = Array.from({ length: 64 }, () => guarded(url()))
  await assert.rejects(guarded(url()), code('busy'))
  while (held.length < 64) await new Promise((done) => setTimeout(done, 10))
  for (const response of held) response.end('{}')
  await Promise.all(many)
  answer = (_request, response) => void response.end('{}')
  assert.equal((await guarded(url())).status, 200)
})

test('CERT-04 http is asked for what is signed by its maker, where that is allowed, and leads nowhere else either', async () => {
  const plain = createPlainServer((_request, response) => void response.end('a list'))
  const plainPort = await listen(plain, { port: 0, address: '127.0.0.1' })
  try {
    const list = `http://localhost:${plainPort}/list`
    assert.equal(await (await local({ allowHttp: true })(list)).text(), 'a list')
    await assert.rejects(local()(list), code('not_allowed'))
    await assert.rejects(createGuardedFetch({ allowHttp: true })(list), code('not_allowed'))
  } finally {
    plain.close()
  }
})

test('a body, a method and headers arrive; the answer is whole', async () => {
  answer = async (request, response) => {
    const body = (await request.toArray()).join('')
    response
      .writeHead(201, { 'content-type': 'text/plain' })
      .end(`${request.method} ${request.headers['authorization']} ${request.headers.host} ${body}`)
  }
  const response = await local()(url('/ping'), { method: 'POST', headers: { authorization: 'Bearer x', host: 'evil' }, body: '{"a":"ä"}' })
  assert.deepEqual(
    [response.status, response.headers.get('content-type'), await response.text()],
    [201, 'text/plain', `POST Bearer x localhost:${port} {"a":"ä"}`],
  )
  answer = (_request, response) => void response.writeHead(204).end()
  assert.equal((await local()(url())).status, 204)
})

test('public addresses are public', () => {
  for (const address of ['8.8.8.8', '93.184.215.14', '172.32.0.1', '100.128.0.1', '2606:2800:21f:cb07::1', '2a00:1450:4001::1'])
    assert.ok(isPublicAddress(address), address)
  for (const address of ['', 'localhost', '1.2.3', '256.1.1.1']) assert.equal(isPublicAddress(address), false, address)
})
