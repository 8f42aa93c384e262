import 'reflect-metadata' // First: what issues certificates does not load without it.
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { after, before, test } from 'node:test'
import { issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { sql } from '@bankside/service-kit/postgres'
import { Applicant, ownToken } from './testing/applicant.ts'
import { refusal } from './testing/authorise.ts'
import { TestDirectory } from './testing/test-directory.ts'
import { startTestServer, type TestServerInside } from './testing/test-server.ts'

let server: TestServerInside
let directory: TestDirectory
const start = async (changes: Record<string, string> = {}) => {
  server = await startTestServer({
    settings: async (authority) => {
      directory = await TestDirectory.start(authority)
      return { ...directory.settings(), ...changes }
    },
  })
}

before(() => start())
after(async () => {
  await server.stop()
  directory.stop()
})

test('CERT-04 MTLS-07 who is revoked is refused by every endpoint with the next list, on connections that are open too, and registers nothing', async () => {
  const [acorn, other] = [await Applicant.enrol(server, directory, 'Acorn'), await Applicant.enrol(server, directory, 'Other')]
  const { json } = await acorn.register()
  const client = await acorn.asClient(json['client_id'])
  const token = await ownToken(client)
  directory.revoked.push(new X509Certificate(acorn.credential.cert).serialNumber)
  assert.equal((await client.token({ grant_type: 'client_credentials' })).status, 200, 'the list is not known yet')
  await server.published.revocations.refresh()
  const attempts = {
    token: client.token({ grant_type: 'client_credentials' }),
    par: client.push({}),
    revocation: client.post('/revocation', { token: 'x' }),
    read: acorn.manage('GET', json['client_id'], { token }),
    register: acorn.register(),
  }
  for (const [what, attempt] of Object.entries(attempts)) assert.equal(refusal(await attempt), '401 invalid_client', what)
  assert.equal((await other.register()).status, 201, 'another one')

  const { organisation } = acorn.software
  const renewed = await issueTransportCertificate(server.authority, { organisation, keyKind: 'ec', now: new Date() })
  const again = Object.assign(Object.create(client) as typeof client, { credential: renewed })
  assert.equal((await again.token({ grant_type: 'client_credentials' })).status, 200, 'MTLS-06 with a new certificate')
})

test('CERT-04 while the authority does not answer, who is known goes on by the last list', async () => {
  const acorn = await Applicant.enrol(server, directory, 'Outage')
  const { json } = await acorn.register()
  directory.answers = (response) => response.destroy()
  try {
    await server.published.revocations.refresh()
    const client = await acorn.asClient(json['client_id'])
    assert.equal((await client.token({ grant_type: 'client_credentials' })).status, 200)
  } finally {
    directory.answers = undefined
  }
})

test('CERT-04 what is no list of the authority takes the place of none, whoever answers at its address', async () => {
  const kept = () =>
    server.owner.oneFirst(sql.unsafe`select encode(body, 'hex') from clients.remote_document where url like '%revoked.crl'`)
  await server.published.revocations.refresh()
  const before = await kept()
  directory.answers = (response) => response.end('a list by somebody else')
  try {
    await server.published.revocations.refresh()
    assert.equal(await kept(), before)
    const acorn = await Applicant.enrol(server, directory, 'Steady')
    assert.notEqual((await acorn.register()).status, 503)
  } finally {
    directory.answers = undefined
  }
})

test('CERT-04 where no list was ever got, nobody registers, and nobody gets a token over a certificate', async () => {
  const [firstServer, firstDirectory] = [server, directory]
  await start({ CLIENT_CRL_URLS: 'https://localhost:1/nothing.crl' })
  try {
    const acorn = await Applicant.enrol(server, directory, 'Unknown')
    assert.equal(refusal(await acorn.register()), '503 temporarily_unavailable')
    const client = await acorn.asClient('nobody-yet')
    assert.equal(refusal(await client.token({ grant_type: 'client_credentials' })), '503 temporarily_unavailable')
  } finally {
    await server.stop()
    directory.stop()
    ;[server, directory] = [firstServer, firstDirectory]
  }
})
