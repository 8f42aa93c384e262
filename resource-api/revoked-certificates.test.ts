import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { after, before, test } from 'node:test'
import { revokeToken } from '@bankside/bank/access/revoke-token'
import { keepRemoteDocument, ocspDocument } from '@bankside/bank/clients/remote-document'
import { answerOcsp } from '@bankside/certs/ocsp-responder'
import { issueRevocationList } from '@bankside/certs/revocation-list'
import { issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { createMetrics } from '@bankside/service-kit/metrics'
import { ocspRequest } from '@bankside/service-kit/ocsp-message'
import { transact } from '@bankside/service-kit/postgres'
import { decodeJwt } from 'jose'
import { type ResourceApi, startResourceApi } from './resource-api.ts'
import { createTestClient } from './testing/test-client.ts'
import { organisation } from './testing/test-issuer.ts'
import { startTestWorld, type TestWorld } from './testing/test-world.ts'

const listUrl = 'https://authority.example/revoked.crl'
let world: TestWorld
let api: ResourceApi

before(async () => {
  world = await startTestWorld()
})
after(async () => {
  await api?.close()
  await world.close()
})

const consents = '/open-banking/v4.0/aisp/account-access-consents'
const body = { Data: { Permissions: ['ReadAccountsBasic'] }, Risk: {} }

test('CERT-04 MTLS-07 a token over a certificate that its authority has taken back is refused, over another it is not', async () => {
  const [good, bad] = [await world.issuer.newClientCertificate(), await world.issuer.newClientCertificate()]
  const now = new Date()
  const list = await issueRevocationList(world.issuer.authority, {
    revoked: [{ serialNumber: new X509Certificate(bad.cert).serialNumber, revokedAt: now }],
    ...{ now, nextUpdate: new Date(now.getTime() + 3_600_000) },
  })
  await transact(world.owner, (tx) => keepRemoteDocument(tx, listUrl, { body: list, fetchedAt: now }))
  const revocation = { urls: [listUrl], staleAtMostMs: 0 }
  api = await startResourceApi({ ...world.apiOptions, revocation, registry: createMetrics('resource-api') })
  const held = (['mtls', 'dpop'] as const).flatMap((binding) => [good, bad].map((certificate) => ({ binding, certificate })))
  const statuses = await Promise.all(
    held.map(async ({ binding, certificate }) => {
      const client = await createTestClient({ port: api.port, ca: world.issuer.ca, binding, certificate, presents: true })
      const token = await world.issuer.mint({ clientId: 'cobalt-pay', cnf: client.cnf, scope: 'accounts' })
      const { status } = await client.send('POST', consents, { token, body })
      client.close()
      return status
    }),
  )
  assert.deepEqual(statuses, [201, 401, 201, 401])
})

test('CERT-04 what the authorization server was answered about a certificate holds here; of whom nothing is known, no token is held, but others’ pass', async () => {
  const ocspResponder = 'https://authority.example/ocsp'
  const now = new Date()
  const issuer = new X509Certificate(world.issuer.authority.cert)
  const order = { organisation, keyKind: 'ec', now, ocspResponder } as const
  const certificates = await Promise.all([1, 2, 3].map(() => issueTransportCertificate(world.issuer.authority, order)))
  const [good, bad] = certificates.map(({ cert }) => new X509Certificate(cert))
  for (const certificate of [good, bad]) {
    if (certificate === undefined) continue
    const statusOf = () => (certificate === bad ? { revokedAt: now } : 'good')
    const answered = { signer: world.issuer.authority, statusOf, now, nextUpdate: new Date(now.getTime() + 3_600_000) } as const
    const body = answerOcsp(ocspRequest({ certificate, issuer }), answered)
    await transact(world.owner, (tx) => keepRemoteDocument(tx, ocspDocument(certificate.fingerprint256), { body, fetchedAt: now }))
  }
  const revocation = { urls: [], ocsp: true, staleAtMostMs: 0 }
  const asking = await startResourceApi({ ...world.apiOptions, revocation, registry: createMetrics('resource-api') })
  try {
    const statuses: number[] = []
    for (const binding of ['mtls', 'dpop'] as const)
      for (const certificate of certificates) {
        const client = await createTestClient({ port: asking.port, ca: world.issuer.ca, binding, certificate, presents: true })
        const token = await world.issuer.mint({ clientId: 'cobalt-pay', cnf: client.cnf, scope: 'accounts' })
        statuses.push((await client.send('POST', consents, { token, body })).status)
        client.close()
      }
    assert.deepEqual(statuses, [201, 401, 503, 201, 401, 201])
  } finally {
    await asking.close()
  }
})

test('UKDCR-15 a token of a client’s own that was taken back is refused with the very next call', async () => {
  const token = await world.clientToken(world.acorn, 'accounts')
  const other = await world.clientToken(world.acorn, 'accounts')
  assert.equal((await world.acorn.send('POST', consents, { token, body })).status, 201)
  const { jti = '', exp = 0 } = decodeJwt(token)
  await transact(world.owner, (tx) => revokeToken(tx, { jti, expiresAt: new Date(exp * 1000) }))
  assert.equal((await world.acorn.send('POST', consents, { token, body })).status, 401)
  assert.equal((await world.acorn.send('POST', consents, { token: other, body })).status, 201)
})
