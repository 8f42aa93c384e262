import 'reflect-metadata' // First: what issues certificates does not load without it.
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { after, before, test } from 'node:test'
import { keepRemoteDocument, ocspDocument } from '@bankside/bank/clients/remote-document'
import { answerOcsp } from '@bankside/certs/ocsp-responder'
import { issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { ocspRequest } from '@bankside/service-kit/ocsp-message'
import { sql, transact } from '@bankside/service-kit/postgres'
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

/** With a responder and no list: what it does not say, nobody says. */
async function withResponder(work: () => Promise<void>): Promise<void> {
  const [firstServer, firstDirectory] = [server, directory]
  await start({ CLIENT_CRL_URLS: '', CLIENT_OCSP: 'on', CLIENT_CRL_STALE_HOURS: '1' })
  try {
    await work()
  } finally {
    await server.stop()
    directory.stop()
    ;[server, directory] = [firstServer, firstDirectory]
  }
}
const down = (response: ServerResponse) => void response.writeHead(500).end()
const asked = () => directory.asked.filter((path) => path === '/ocsp').length
const own = { grant_type: 'client_credentials' }

test('CERT-04 the authority is asked about a certificate, once; who was revoked registers nothing and gets nothing', () =>
  withResponder(async () => {
    const ocspResponder = `${directory.origin}/ocsp`
    const [acorn, bad] = [
      await Applicant.enrol(server, directory, 'Asked', { ocspResponder }),
      await Applicant.enrol(server, directory, 'Bad', { ocspResponder }),
    ]
    directory.revoked.push(new X509Certificate(bad.credential.cert).serialNumber)
    assert.equal(refusal(await bad.register()), '401 invalid_client')
    const { json } = await acorn.register()
    const client = await acorn.asClient(json['client_id'])
    for (let times = 0; times < 3; times++) assert.equal((await client.token(own)).status, 200)
    assert.equal(asked(), 2)

    const { fingerprint256 } = new X509Certificate(acorn.credential.cert)
    const kept = await server.owner.anyFirst(sql.unsafe`select url from clients.remote_document where url = ${`ocsp:${fingerprint256}`}`)
    assert.equal(kept.length, 1, 'for the resource API')
  }))

/** A certificate about which the authority answered `good` once, until so many minutes ago. */
async function answeredUntil(applicant: Applicant, minutesAgo: number) {
  const [now, issuer] = [new Date(), new X509Certificate(server.authority.cert)]
  const ago = (minutes: number) => new Date(now.getTime() - minutes * 60_000)
  const { organisation } = applicant.software
  const order = { organisation, keyKind: 'ec', now, ocspResponder: `${directory.origin}/ocsp` } as const
  const credential = await issueTransportCertificate(server.authority, order)
  const certificate = new X509Certificate(credential.cert)
  const answered = { signer: server.authority, statusOf: () => 'good' as const, now: ago(minutesAgo + 20), nextUpdate: ago(minutesAgo) }
  const body = answerOcsp(ocspRequest({ certificate, issuer }), answered)
  await transact(server.owner, (tx) => keepRemoteDocument(tx, ocspDocument(certificate.fingerprint256), { body, fetchedAt: now }))
  return credential
}

test('CERT-04 while the responder is down nobody new registers; who was good goes on by what was answered last, for as long as the bank lets it', () =>
  withResponder(async () => {
    const acorn = await Applicant.enrol(server, directory, 'Running', { ocspResponder: `${directory.origin}/ocsp` })
    const { json } = await acorn.register()
    const client = await acorn.asClient(json['client_id'])
    const over = (credential: typeof client.credential) => Object.assign(Object.create(client) as typeof client, { credential })
    const [lately, longAgo] = [await answeredUntil(acorn, 10), await answeredUntil(acorn, 61)]
    directory.answers = down
    assert.equal((await client.token(own)).status, 200, 'what holds still')
    assert.equal((await over(lately).token(own)).status, 200)
    assert.equal(refusal(await over(longAgo).token(own)), '503 temporarily_unavailable')
    assert.equal(
      refusal(await acorn.send('POST', '/register', await acorn.request(), { credential: lately })),
      '503 temporarily_unavailable',
    )
    directory.answers = undefined
    const fresh = await Applicant.enrol(server, directory, 'Fresh', { ocspResponder: 'https://localhost:1/nobody' })
    assert.equal(refusal(await fresh.register()), '503 temporarily_unavailable')
    assert.equal(refusal(await (await fresh.asClient('nobody-yet')).token(own)), '503 temporarily_unavailable')
  }))

test('CERT-04 ATK-SSRF a responder inside the bank’s network is not asked, though a certificate names it', () =>
  withResponder(async () => {
    for (const ocspResponder of ['http://127.0.0.1:1/ocsp', 'http://169.254.169.254/latest', 'file:///etc/passwd']) {
      const acorn = await Applicant.enrol(server, directory, 'Inside', { ocspResponder })
      assert.equal(refusal(await acorn.register()), '503 temporarily_unavailable', ocspResponder)
    }
  }))
