import 'reflect-metadata' // First: what issues certificates does not load without it.
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { after, before, test } from 'node:test'
import { listExpiringCertificates } from '@bankside/bank/clients/expiring-certificates'
import { listClients } from '@bankside/bank/clients/list-clients'
import { issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { openDatabase, sql, transact } from '@bankside/service-kit/postgres'
import { keyExpiry } from './keys/key-expiry.ts'
import { keySettings } from './keys/key-material.ts'
import { organisationOf, startTestServer, type TestServerInside, testSecrets } from './testing/test-server.ts'
import { ThirdParty } from './testing/third-party.ts'

const now = new Date()
let server: TestServerInside
let worker: Awaited<ReturnType<typeof openDatabase>>

before(async () => {
  server = await startTestServer()
  worker = await openDatabase(server.workerUrl)
})
after(async () => {
  await worker.end()
  await server.stop()
})

const over = async (client: ThirdParty, validDays: number) => {
  const order = { organisation: organisationOf('Acorn'), keyKind: 'ec', now, validDays } as const
  return Object.assign(Object.create(client) as ThirdParty, { credential: await issueTransportCertificate(server.authority, order) })
}
const cc = { grant_type: 'client_credentials', scope: 'accounts' }
const noted = (clientId: string) =>
  server.owner.anyFirst(sql.unsafe`select serial_number from clients.certificate where client_id = ${clientId} order by expires_at`)

test('CERT-15 with which certificates a client gets tokens is noted, once each; nobody is told of one that has a successor', async () => {
  const client = await ThirdParty.register(server, 'acorn', { constraint: 'mtls' })
  const soon = await over(client, 12)
  for (let times = 0; times < 3; times++) assert.equal((await soon.token(cc)).status, 200)
  const { serialNumber } = new X509Certificate(soon.credential.cert)
  assert.deepEqual(await noted('acorn'), [serialNumber])
  const [listed] = await transact(server.owner, (tx) => listClients(tx, 'acorn'))
  assert.equal(listed?.certificateUntil?.getTime(), new X509Certificate(soon.credential.cert).validToDate.getTime())
  assert.deepEqual(
    (await listExpiringCertificates(worker, now)).map((one) => [one.clientId, one.serialNumber]),
    [['acorn', serialNumber]],
  )

  assert.equal((await (await over(client, 300)).token(cc)).status, 200)
  assert.equal((await noted('acorn')).length, 2)
  assert.deepEqual(await listExpiringCertificates(worker, now), [])
})

test('CERT-15 a certificate that somebody else holds, or that proves nothing, is not noted for a client', async () => {
  const client = await ThirdParty.register(server, 'birch', { constraint: 'mtls', authentication: 'tls_client_auth' })
  const stranger = await over(client, 12)
  assert.notEqual((await stranger.token(cc)).status, 200)
  assert.deepEqual(await noted('birch'), [])
})

test('CERT-15 keys that nobody has given a successor are told of, those that have one are not', () => {
  const key = (kid: string, alg: string, exp?: number) => ({ kid, alg, use: 'sig', d: 'x', ...(exp && { exp }) })
  const keys = [key('1', 'ES256', 100), key('2', 'ES256'), key('3', 'PS256', 100), key('4', 'PS256', 200)]
  const secrets = { ...testSecrets(Buffer.alloc(32)), cookie_keys: [{ key: 'a'.repeat(43), exp: 300 }] }
  const material = {
    SIGNING_KEYS: keySettings.SIGNING_KEYS.parse(JSON.stringify({ keys })),
    SECRETS: keySettings.SECRETS.parse(JSON.stringify(secrets)),
    NOTIFICATION_KEYS: keySettings.NOTIFICATION_KEYS.parse(JSON.stringify([{ key: 'A'.repeat(43), exp: 400 }])),
  }
  assert.deepEqual(
    keyExpiry(material).map(({ name, expiresAt }) => [name, expiresAt.getTime() / 1_000]),
    [
      ['signing key PS256', 200],
      ['NOTIFICATION_KEYS', 400],
      ['cookie_keys', 300],
    ],
  )
})
