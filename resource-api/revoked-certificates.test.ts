import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { after, before, test } from 'node:test'
import { revokeToken } from '@bankside/bank/access/revoke-token'
import { keepRemoteDocument } from '@bankside/bank/clients/remote-document'
import { issueRevocationList } from '@bankside/certs/revocation-list'
import { createMetrics } from '@bankside/service-kit/metrics'
import { transact } from '@bankside/service-kit/postgres'
import { decodeJwt } from 'jose'
import { type ResourceApi, startResourceApi } from './resource-api.ts'
import { createTestClient } from './testing/test-client.ts'
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

test('UKDCR-15 a token of a client’s own that was taken back is refused with the very next call', async () => {
  const token = await world.clientToken(world.acorn, 'accounts')
  const other = await world.clientToken(world.acorn, 'accounts')
  assert.equal((await world.acorn.send('POST', consents, { token, body })).status, 201)
  const { jti = '', exp = 0 } = decodeJwt(token)
  await transact(world.owner, (tx) => revokeToken(tx, { jti, expiresAt: new Date(exp * 1000) }))
  assert.equal((await world.acorn.send('POST', consents, { token, body })).status, 401)
  assert.equal((await world.acorn.send('POST', consents, { token: other, body })).status, 201)
})
