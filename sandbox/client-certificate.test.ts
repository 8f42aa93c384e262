import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { type Credential, createAuthority, selfSign } from '@bankside/certs/authority'
import { issueServerCertificate, issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { issueOddCertificate } from '@bankside/certs/testing/odd-certificate'
import { clientCertificate, thumbprintOf } from '@bankside/service-kit/client-certificate'
import { demoClients } from './demo-clients.ts'

const now = new Date()
const organisation = demoClients[0]?.organisation ?? assert.fail('a client')
const authority = await createAuthority({ commonName: 'sandbox', now })
const client = await issueTransportCertificate(authority, { organisation, keyKind: 'ec', now })
const proxy = '10.0.0.1'
const options = { trustedProxyAddresses: [proxy], clientCa: authority.cert, clock: { now: () => now } }

const header = ({ cert }: Credential) => `:${new X509Certificate(cert).raw.toString('base64')}:`

/** A request of a connection without a certificate of its own, as a proxy's or an attacker's is. */
function requestFrom(remoteAddress: string, clientCert?: string): IncomingMessage {
  const headers = clientCert === undefined ? {} : { 'client-cert': clientCert }
  return { socket: { remoteAddress }, headers } as unknown as IncomingMessage
}

test('CERT-11 MTLS-05 a Client-Cert header from anybody but a configured proxy is ignored', () => {
  for (const address of ['203.0.113.9', '127.0.0.1', '10.0.0.10', '::ffff:10.0.0.2', ''])
    assert.equal(clientCertificate(requestFrom(address, header(client)), options), undefined, address)
  const nobodyTrusted = { ...options, trustedProxyAddresses: [] }
  assert.equal(clientCertificate(requestFrom(proxy, header(client)), nobodyTrusted), undefined)
})

test('CERT-11 BCP-15 a request of the proxy without the header has no certificate, whatever the proxy connected with', () => {
  assert.equal(clientCertificate(requestFrom(proxy), options), undefined)
})

test('CERT-11 a header that is not exactly one certificate is ignored', () => {
  const good = header(client)
  const wrong = [
    '',
    ':',
    '::',
    good.slice(1),
    `${good}, ${good}`,
    `"${good}"`,
    ':bm90IGEgY2VydGlmaWNhdGU=:',
    `:${'A'.repeat(20_000)}:`,
    client.cert,
  ]
  for (const value of wrong) assert.equal(clientCertificate(requestFrom(proxy, value), options), undefined, value.slice(0, 40))
})

test('CERT-02 a certificate that was good is not good any more when it has expired, nor for other authorities, however often it was seen', async () => {
  const short = await issueTransportCertificate(authority, { organisation, keyKind: 'ec', now, validDays: 1 })
  const other = await createAuthority({ commonName: 'other', now })
  const seen = (more: object = {}) => clientCertificate(requestFrom(proxy, header(short)), { ...options, ...more })?.trusted
  const later = new Date(now.getTime() + 2 * 86_400_000)
  assert.deepEqual(
    [seen(), seen(), seen({ clock: { now: () => later } }), seen({ clientCa: other.cert }), seen()],
    [true, true, undefined, undefined, true],
  )
})

test('CERT-03 a weak key or a signature with SHA-1 makes no certificate, whoever issued it', async () => {
  for (const oddity of [{ key: 'rsa1024' }, { signatureHash: 'SHA-1' }] as const) {
    const weak = await issueOddCertificate(authority, oddity, now)
    assert.equal(clientCertificate(requestFrom(proxy, header(weak)), options), undefined)
  }
  for (const key of ['ec', 'p384', 'rsa2048'] as const) {
    const strong = await issueOddCertificate(authority, { key }, now)
    assert.equal(clientCertificate(requestFrom(proxy, header(strong)), options)?.trusted, true, key)
  }
})

test('CERT-02 CERT-03 CERT-05 behind the proxy too, a certificate of another authority, an expired one, one for servers and an authority are ignored', async () => {
  const stranger = await createAuthority({ commonName: 'sandbox', now })
  const past = new Date(now.getTime() - 30 * 86_400_000)
  const refused = [
    await issueTransportCertificate(stranger, { organisation, keyKind: 'ec', now }),
    await issueTransportCertificate(authority, { organisation, keyKind: 'ec', now: past, validDays: 7 }),
    await issueServerCertificate(authority, { keyKind: 'ec', now }),
    authority,
  ]
  for (const credential of refused) assert.equal(clientCertificate(requestFrom(proxy, header(credential)), options), undefined)
})

test('MTLS-02 a certificate that a client signed itself comes through the proxy as what it is, until it expires', async () => {
  const own = await selfSign({ commonName: 'client', now })
  const found = clientCertificate(requestFrom(proxy, header(own)), options)
  assert.deepEqual([found?.trusted, found?.selfSigned], [false, true])
  const late = { ...options, clock: { now: () => new Date(now.getTime() + 400 * 86_400_000) } }
  assert.equal(clientCertificate(requestFrom(proxy, header(own)), late), undefined)
})

test('a certificate that a configured proxy hands over is the client’s, with the thumbprint of RFC 8705', () => {
  for (const address of [proxy, `::ffff:${proxy}`]) {
    const found = clientCertificate(requestFrom(address, header(client)), options)
    assert.equal(found?.trusted, true)
    assert.equal(found?.thumbprint, thumbprintOf(new X509Certificate(client.cert)))
    assert.match(found?.thumbprint ?? '', /^[A-Za-z0-9_-]{43}$/)
  }
})
