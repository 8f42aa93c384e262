import assert from 'node:assert/strict'
import type { Server } from 'node:https'
import { after, before, test } from 'node:test'
import { sql } from '@bankside/service-kit/postgres'
import { createTlsServer, listen } from '@bankside/service-kit/tls-server'
import { refusal } from '../testing/authorise.ts'
import { enterCustomer, type TestCustomer } from '../testing/bank-fixtures.ts'
import { codeFor } from '../testing/every-profile.ts'
import { startTestServer, type TestServer } from '../testing/test-server.ts'
import { ThirdParty } from '../testing/third-party.ts'

/** SSRF: a third party gives addresses that lead into the bank's network. Here nothing of that network may be asked. */
let server: TestServer
let ada: TestCustomer
let inside: Server
let port: number
const reached: string[] = []

before(async () => {
  server = await startTestServer({ settings: { OUTBOUND_PRIVATE_HOSTS: '' } })
  ada = await enterCustomer(server, 'ada')
  inside = createTlsServer({ certificates: [server.certificate], requestClientCertificate: false }, (request, response) => {
    reached.push(request.url ?? '')
    response.end('{"keys":[]}')
  })
  inside.on('connection', () => void reached.push('a connection'))
  port = await listen(inside, { port: 0, address: '127.0.0.1' })
})
after(async () => {
  inside.close()
  await server.stop()
})

const hosts = [
  'localhost',
  'localhost.',
  '127.0.0.1',
  '127.1',
  '2130706433',
  '0x7f000001',
  '0177.0.0.1',
  '0.0.0.0',
  '[::1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[64:ff9b::7f00:1]',
  '[fe80::1]',
  '10.0.0.1',
  '169.254.169.254',
  '[fd00:ec2::254]',
]

test('SSRF: the address of a client’s keys is not asked when it leads into the network, however it is written (DCR-06 CERT-14)', async () => {
  for (const [index, host] of hosts.entries()) {
    const metadata = { jwks: undefined, jwks_uri: `https://${host}:${port}/keys` }
    const client = await ThirdParty.register(server, `inside-${index}`, { metadata })
    const answer = await client.token({ grant_type: 'client_credentials', scope: 'accounts' })
    assert.equal(refusal(answer), '401 invalid_client', host)
    assert.doesNotMatch(answer.text, /127\.|not public|localhost/, 'nothing is told of what is there')
  }
  assert.deepEqual(reached, [])
})

test('SSRF: nobody inside is told of a logout, nor called by an address in a request (LOGOUT-01 JAR-04)', async () => {
  for (const [index, host] of ['localhost', '127.0.0.1', '[::ffff:127.0.0.1]', '10.0.0.1'].entries()) {
    const metadata = { backchannel_logout_uri: `https://${host}:${port}/logout` }
    const client = await ThirdParty.register(server, `logout-${index}`, { metadata })
    const { at } = await codeFor(client, ada)
    await at.submit(await at.browser.get('/session/end'), { action: 'confirm' })
    assert.equal(await server.deliverLogouts(), 1, host)
    const request = `https://${host}:${port}/request`
    assert.match(refusal(await client.push({ request_uri: request })), /^400 invalid_request$/)
    assert.equal((await at.browser.get(`/auth?${new URLSearchParams({ client_id: client.clientId, request_uri: request })}`)).status, 400)
  }
  assert.deepEqual(reached, [])
  const { failed } = (await server.owner.one(sql.unsafe`
    select count(*)::int as failed from oidc.backchannel_logout where last_error is not null`)) as { failed: number }
  assert.equal(failed, 4)
})
