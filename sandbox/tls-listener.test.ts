/** The listeners as the sandbox runs them: service-kit's server with the certificates of certs. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Server } from 'node:https'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { type Credential, createAuthority, issue } from '@bankside/certs/authority'
import { issueServerCertificate, issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { clientCertificate } from '@bankside/service-kit/client-certificate'
import { createTlsServer, drain, limits, listen } from '@bankside/service-kit/tls-server'
import { demoClients } from './demo-clients.ts'

const now = new Date()
const organisation = demoClients[0]?.organisation ?? assert.fail('a client')
let authority: Credential
let stranger: Credential
let client: Credential
let server: Server
let port: number

before(async () => {
  authority = await createAuthority({ commonName: 'sandbox', now })
  stranger = await createAuthority({ commonName: 'stranger', now })
  client = await issueTransportCertificate(authority, { organisation, keyKind: 'ec', now })
  const certificates = await Promise.all((['rsa', 'ec'] as const).map((keyKind) => issueServerCertificate(authority, { keyKind, now })))
  server = createTlsServer({ certificates, clientCa: authority.cert, requestClientCertificate: true }, (request, response) => {
    const presented = clientCertificate(request, { trustedProxyAddresses: [], clientCa: authority.cert })
    response.end(JSON.stringify({ thumbprint: presented?.thumbprint, trusted: presented?.trusted }))
  })
  port = await listen(server, { port: 0, address: '127.0.0.1' })
})
after(() => drain(server, { limitMs: 500 }))

async function handshake(options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: authority.cert, ...options })
  await once(socket, 'secureConnect')
  return socket
}

async function refusal(options: ConnectionOptions): Promise<string> {
  const outcome = await handshake(options).catch((error: NodeJS.ErrnoException) => error.code ?? error.message)
  if (typeof outcome === 'string') return outcome
  outcome.destroy()
  return assert.fail(`connected with ${outcome.getProtocol()} ${outcome.getCipher().standardName}`)
}

async function exchange(raw: string, options: ConnectionOptions = {}): Promise<string> {
  const socket = await handshake(options)
  socket.write(raw)
  return text(socket)
}

const get = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
// Level 0, so that it is the server that refuses and not the client that does not dare.
const daring = (ciphers: string) => `${ciphers}:@SECLEVEL=0`

test('FAPI2-NET-02 a handshake with TLS 1.0 or 1.1 fails', async () => {
  for (const version of ['TLSv1', 'TLSv1.1'] as const) {
    const code = await refusal({ minVersion: version, maxVersion: version, ciphers: daring('ALL') })
    assert.match(code, /ALERT_PROTOCOL_VERSION/)
  }
})

test('FAPI2-NET-03 FAPI2-NET-06 FAPI2-NET-09 FAPI1A-11 on TLS 1.2 suites without forward secrecy, with CBC, or that FAPI 1.0 does not name are refused', async () => {
  const refused = [
    'AES128-GCM-SHA256',
    'AES256-SHA',
    'ECDHE-RSA-AES128-SHA',
    'ECDHE-RSA-AES128-SHA256',
    'ECDHE-ECDSA-AES256-SHA384',
    'DHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ]
  for (const suite of refused) {
    const code = await refusal({ maxVersion: 'TLSv1.2', ciphers: daring(suite) })
    assert.match(code, /HANDSHAKE_FAILURE/, suite)
  }
})

test('FAPI2-NET-03 renegotiation is refused', async () => {
  const socket = await handshake({ maxVersion: 'TLSv1.2' })
  const error = await new Promise((done) => socket.once('error', done).renegotiate({ rejectUnauthorized: true }, done))
  assert.match(String(error), /no renegotiation/i)
  socket.destroy()
})

test('FAPI2-NET-02 FAPI2-NET-06 TLS 1.2 with ECDHE and AES-GCM connects, and so does TLS 1.3, for clients of RSA and of elliptic curves', async () => {
  const accepted = [
    [{ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }, 'TLSv1.2', 'RSA'],
    [{ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES256-GCM-SHA384' }, 'TLSv1.2', 'RSA'],
    [{ minVersion: 'TLSv1.3', sigalgs: 'ecdsa_secp256r1_sha256' }, 'TLSv1.3', 'EC'],
    [{ minVersion: 'TLSv1.3', sigalgs: 'rsa_pss_rsae_sha256' }, 'TLSv1.3', 'RSA'],
  ] as const
  for (const [options, protocol, keyKind] of accepted) {
    const socket = await handshake(options)
    assert.equal(socket.getProtocol(), protocol)
    const { bits, nistCurve } = socket.getPeerCertificate() as { bits?: number; nistCurve?: string }
    assert.deepEqual([bits, nistCurve], keyKind === 'RSA' ? [2048, undefined] : [256, 'P-256'])
    assert.ok(socket.authorized)
    socket.destroy()
  }
})

test('FAPI2-NET-01 plain HTTP is not answered', async () => {
  const { connect: plain } = await import('node:net')
  const socket = plain(port, '127.0.0.1')
  socket.write(get)
  const answer = await text(socket).catch(() => '')
  assert.doesNotMatch(answer, /200/)
})

test('an over-long header is answered 431, what is not HTTP 400, an unknown expectation 417', async () => {
  assert.match(await exchange(`GET / HTTP/1.1\r\nHost: localhost\r\nx: ${'x'.repeat(limits.maxHeaderSize)}\r\n\r\n`), /^HTTP\/1.1 431 /)
  for (const raw of [
    'nonsense\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
  ])
    assert.match(await exchange(raw), /^HTTP\/1.1 400 /, raw)
  assert.match(await exchange('GET / HTTP/1.1\r\nHost: localhost\r\nExpect: miracles\r\n\r\n'), /^HTTP\/1.1 417 /)
})

test('CERT-02 a certificate of another authority connects and is not trusted; none is none', async () => {
  const foreign = await issueTransportCertificate(stranger, { organisation, keyKind: 'ec', now })
  assert.match(await exchange(get, foreign), /"trusted":false/)
  assert.match(await exchange(get), /\{\}/)
})

test('CERT-03 an expired certificate, one that is not valid yet and one of a server only are not trusted', async () => {
  const past = new Date(now.getTime() - 30 * 86_400_000)
  const future = new Date(now.getTime() + 30 * 86_400_000)
  const expired = await issueTransportCertificate(authority, { organisation, keyKind: 'ec', now: past, validDays: 7 })
  const early = await issueTransportCertificate(authority, { organisation, keyKind: 'ec', now: future })
  for (const credential of [expired, early]) assert.match(await exchange(get, credential), /"trusted":false/)
})

test('CERT-05 a certificate that is for servers only is not trusted as a client', async () => {
  const { ExtendedKeyUsage } = await import('@peculiar/x509')
  const order = {
    subject: [{ CN: ['server'] }],
    keyKind: 'ec' as const,
    names: [{ type: 'dns' as const, value: 'localhost' }],
    usages: [ExtendedKeyUsage.serverAuth],
  }
  assert.match(await exchange(get, await issue(authority, order, now)), /"trusted":false/)
})

test('a client certificate is known on a first and on a resumed session, with TLS 1.2 and 1.3', async () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const first = await handshake({ ...client, maxVersion })
    const session =
      maxVersion === 'TLSv1.3' ? (once(first, 'session') as Promise<[Buffer]>) : Promise.resolve([first.getSession()] as const)
    first.write(get)
    const [answer, [ticket]] = [await text(first), await session]
    assert.match(answer, /"trusted":true/)
    const resumed = await handshake({ ...client, maxVersion, session: ticket })
    assert.ok(resumed.isSessionReused(), maxVersion)
    resumed.write(get)
    assert.equal((await text(resumed)).split('\r\n\r\n')[1], answer.split('\r\n\r\n')[1])
  }
})
