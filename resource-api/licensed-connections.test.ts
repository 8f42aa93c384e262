import 'reflect-metadata' // First: what issues certificates does not load without it.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Organisation } from '@bankside/certs/sandbox-credentials'
import { issueOddCertificate } from '@bankside/certs/testing/odd-certificate'
import { sql } from '@bankside/service-kit/postgres'
import { KeyUsageFlags } from '@peculiar/x509'
import { paymentConsentBody } from './testing/payment-bodies.ts'
import { type Answer, createTestClient, type TestClient } from './testing/test-client.ts'
import { organisation } from './testing/test-issuer.ts'
import { startTestWorld, type TestWorld } from './testing/test-world.ts'

let world: TestWorld
const clients: TestClient[] = []

before(async () => {
  world = await startTestWorld()
  const registered = {
    organisation: {
      ...{ id: organisation.directoryId, softwareId: 'software1' },
      register: { authorityId: 'GB-FCA', number: organisation.identifier.split('-')[2] },
    },
  }
  await world.owner.query(
    sql.unsafe`update clients.client set metadata = ${JSON.stringify(registered)}::jsonb where client_id = 'cobalt-pay'`,
  )
})
after(async () => {
  for (const client of clients) client.close()
  await world.close()
})

type Roles = Organisation['roles']
async function connect(binding: 'dpop' | 'mtls', of: Organisation | 'seal') {
  const subject = [{ C: ['GB'] }, { '2.5.4.97': [organisation.identifier] }, { CN: [organisation.directoryId] }]
  const keyUsages = KeyUsageFlags.digitalSignature | KeyUsageFlags.nonRepudiation
  const certificate =
    of === 'seal'
      ? await issueOddCertificate(world.issuer.authority, { subject, keyUsages }, new Date())
      : await world.issuer.newClientCertificate(of)
  const client = await createTestClient({ port: world.api.port, ca: world.issuer.ca, binding, certificate, presents: true })
  clients.push(client)
  return client
}
const licensedFor = (roles: Roles): Organisation => ({ ...organisation, roles })

/** Asks for both kinds of consent with tokens that the client was issued for both, over the certificate at hand. */
async function lodgeBoth(client: TestClient): Promise<{ accounts: Answer; payments: Answer }> {
  const token = await world.issuer.mint({ clientId: 'cobalt-pay', cnf: client.cnf, scope: 'accounts payments' })
  const accounts = { Data: { Permissions: ['ReadAccountsBasic'] }, Risk: {} }
  const headers = { 'x-idempotency-key': randomUUID() }
  return {
    accounts: await client.send('POST', '/open-banking/v4.0/aisp/account-access-consents', { token, body: accounts }),
    payments: await client.send('POST', '/open-banking/v4.0/pisp/domestic-payment-consents', {
      token,
      body: paymentConsentBody(),
      headers,
    }),
  }
}
const statuses = async (client: TestClient) => {
  const { accounts, payments } = await lodgeBoth(client)
  return [accounts.status, payments.status]
}

for (const binding of ['mtls', 'dpop'] as const) {
  test(`CERT-07 over a certificate with both roles a token opens both, whatever it is bound to (${binding})`, async () => {
    assert.deepEqual(await statuses(await connect(binding, licensedFor(['PSP_AI', 'PSP_PI']))), [201, 201])
  })

  test(`CERT-07 over a certificate without the role, a token opens nothing that needs it, though it says that it may (${binding})`, async () => {
    const { accounts, payments } = await lodgeBoth(await connect(binding, licensedFor(['PSP_AI'])))
    assert.deepEqual([accounts.status, payments.status], [201, 403])
    assert.match(String(payments.headers['www-authenticate']), /error="insufficient_scope"/)
    assert.match(payments.text, /the certificate has no role for payments/)
    assert.deepEqual(await statuses(await connect(binding, licensedFor(['PSP_PI']))), [403, 201])
    assert.deepEqual(await statuses(await connect(binding, licensedFor(['PSP_AS']))), [403, 403])
    assert.deepEqual(await statuses(await connect(binding, licensedFor(['PSP_IC']))), [403, 403])
  })

  test(`CERT-06 over the certificate of another organisation, or a seal, a token opens nothing, though it is bound to it (${binding})`, async () => {
    const both = licensedFor(['PSP_AI', 'PSP_PI'])
    const others = [
      { ...both, identifier: 'PSDGB-FCA-654321' },
      { ...both, identifier: 'PSDIE-CBI-123456' },
      { ...both, identifier: 'PSDGB-OB-123456', directoryId: 'another' },
      'seal',
    ] as const
    for (const other of others) {
      const { accounts, payments } = await lodgeBoth(await connect(binding, other))
      assert.deepEqual([accounts.status, payments.status], [401, 401])
      assert.match(String(accounts.headers['www-authenticate']), /error="invalid_token"/)
    }
    assert.deepEqual(await statuses(await connect(binding, { ...both, identifier: 'PSDGB-OB-Unknown1' })), [201, 201])
  })
}

test('CERT-08 what the register takes away, a token and a certificate do not give, whatever they say', async () => {
  const both = licensedFor(['PSP_AI', 'PSP_PI'])
  const clients = [await connect('mtls', both), await connect('dpop', both)]
  const register = (roles: readonly string[] | null) =>
    world.owner.query(sql.unsafe`
      update clients.client set licensed_roles = ${roles === null ? null : sql.array([...roles], 'text')} where client_id = 'cobalt-pay'`)
  for (const client of clients) {
    await register(['PSP_PI'])
    assert.deepEqual(await statuses(client), [403, 201])
    await register([])
    assert.deepEqual(await statuses(client), [403, 403])
    await register(null)
    assert.deepEqual(await statuses(client), [201, 201])
  }
})

test('CERT-07 what a connection may do follows its certificate, not the one before it', async () => {
  const [accounts, payments] = [await connect('dpop', licensedFor(['PSP_AI'])), await connect('dpop', licensedFor(['PSP_PI']))]
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(await statuses(accounts), [201, 403])
    assert.deepEqual(await statuses(payments), [403, 201])
  }
})
