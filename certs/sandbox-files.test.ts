import assert from 'node:assert/strict'
import { createPublicKey, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createAuthority } from './authority.ts'
import { issueServerCertificate, issueTransportCertificate, type Organisation, subjectDistinguishedName } from './sandbox-credentials.ts'
import { ensureSandboxFiles } from './sandbox-files.ts'
import { createSigningKeys, publicKeys } from './signing-keys.ts'

const folder = mkdtempSync(join(tmpdir(), 'bankside certs '))
after(() => rmSync(folder, { recursive: true, force: true }))

const now = new Date()
const inDays = (days: number) => new Date(now.getTime() + days * 86_400_000)
const organisation: Organisation = {
  name: 'Acorn Money Ltd',
  identifier: 'PSDGB-FCA-900101',
  directoryId: '0015800001AcornAAA',
  roles: ['PSP_AI', 'PSP_PI'],
}
const authority = await createAuthority({ commonName: 'test authority', now })
const clients = [{ clientId: 'tpp-one', organisation, keyKind: 'ec' as const, signingAlgorithm: 'PS256' as const }]

test('CERT-06 an organisation identifier of another form is not certified', () => {
  for (const identifier of ['VATGB-123456', 'PSDGB-FCA-', 'PSDgb-FCA-1', '']) {
    const issued = () => issueTransportCertificate(authority, { organisation: { ...organisation, identifier }, keyKind: 'ec', now })
    assert.throws(issued, /organisation identifier/, identifier)
  }
})

test('CERT-06 the subject names country, organisation, organisation identifier and directory id', async () => {
  const certificate = new X509Certificate((await issueTransportCertificate(authority, { organisation, keyKind: 'ec', now })).cert)
  assert.equal(certificate.subject, 'C=GB\nO=Acorn Money Ltd\norganizationIdentifier=PSDGB-FCA-900101\nCN=0015800001AcornAAA')
  assert.equal(certificate.subjectAltName, 'DNS:localhost, IP Address:127.0.0.1')
})

test('CERT-09 the subject as a distinguished name of RFC 4514 is most specific first, with its special characters escaped', () => {
  assert.equal(
    subjectDistinguishedName({ ...organisation, name: 'Acorn, Oak + Co' }),
    'CN=0015800001AcornAAA,organizationIdentifier=PSDGB-FCA-900101,O=Acorn\\, Oak \\+ Co,C=GB',
  )
})

test('CERT-03 what is issued is signed with SHA-256, has a key of 2048 bits or P-256, and is within its dates', async () => {
  for (const keyKind of ['ec', 'rsa'] as const) {
    const certificate = new X509Certificate((await issueTransportCertificate(authority, { organisation, keyKind, now })).cert)
    const key = createPublicKey(certificate.publicKey.export({ type: 'spki', format: 'pem' }))
    assert.deepEqual(
      [key.asymmetricKeyDetails?.modulusLength, key.asymmetricKeyDetails?.namedCurve],
      keyKind === 'rsa' ? [2048, undefined] : [undefined, 'prime256v1'],
    )
    assert.match(certificate.signatureAlgorithm ?? '', /sha-?256/i)
    assert.ok(certificate.validFromDate < now && certificate.validToDate > now && certificate.validToDate < inDays(398))
    const issuer = new X509Certificate(authority.cert)
    assert.ok(certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey))
  }
})

test('CERT-05 a transport certificate is for TLS, as client and server; a server certificate as server only; neither signs others', async () => {
  const transport = new X509Certificate((await issueTransportCertificate(authority, { organisation, keyKind: 'ec', now })).cert)
  const server = new X509Certificate((await issueServerCertificate(authority, { keyKind: 'rsa', now })).cert)
  assert.deepEqual(transport.keyUsage, ['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1'])
  assert.deepEqual(server.keyUsage, ['1.3.6.1.5.5.7.3.1'])
  assert.deepEqual([transport.ca, server.ca], [false, false])
})

test('CERT-07 the licence statement names the roles and the authority, in the bytes of TS 119 495', async () => {
  const only = { ...organisation, roles: ['PSP_AI'] as const }
  const der = new X509Certificate(
    (await issueTransportCertificate(authority, { organisation: only, keyKind: 'ec', now })).cert,
  ).raw.toString('hex')
  const [accountInformation, statement] = ['06070400819827' + '0103', '06060400819827' + '02'] // 0.4.0.19495.1.3 and 0.4.0.19495.2
  assert.ok(der.includes(accountInformation) && der.includes(hex('PSP_AI')) && der.includes(hex('GB-FCA')))
  assert.ok(!der.includes(hex('PSP_PI')), 'a role that was not asked for')
  assert.ok(der.includes(statement))
  assert.ok(der.includes('0607' + '04008e46010603'), 'for website authentication, 0.4.0.1862.1.6.3')
})

test('a second call finds what the first made, and everything is readable by its owner only', async () => {
  const first = await ensureSandboxFiles({ folder, clients, now })
  const files = [
    first.caFile,
    first.serverRsa.certFile,
    first.serverEc.keyFile,
    first.signingKeysFile,
    ...Object.values(first.clients.get('tpp-one') ?? {}),
  ]
  const read = () => files.map((file) => readFileSync(file, 'utf8'))
  const before = read()
  assert.equal(files.length, 7)
  assert.deepEqual(await ensureSandboxFiles({ folder, clients, now: inDays(300) }), first)
  assert.deepEqual(read(), before)
  for (const file of files) assert.equal(statSync(file).mode & 0o777, 0o600, file)
})

test('CERT-15 a certificate with less than 30 days left is renewed with the same subject; keys that sign stay', async () => {
  const { clients: equipped } = await ensureSandboxFiles({ folder, clients, now })
  const { certFile, jwksFile } = equipped.get('tpp-one') ?? assert.fail('equipped')
  const [before, keysBefore] = [new X509Certificate(readFileSync(certFile)), readFileSync(jwksFile, 'utf8')]
  await ensureSandboxFiles({ folder, clients, now: inDays(370) })
  const renewed = new X509Certificate(readFileSync(certFile))
  assert.notEqual(renewed.serialNumber, before.serialNumber)
  assert.equal(renewed.subject, before.subject)
  assert.equal(readFileSync(jwksFile, 'utf8'), keysBefore)
  await ensureSandboxFiles({ folder, clients, now })
})

test('a damaged certificate is made again, and a new authority issues everything again', async () => {
  const { caFile, serverEc } = await ensureSandboxFiles({ folder, clients, now })
  writeFileSync(serverEc.certFile, 'not a certificate')
  await ensureSandboxFiles({ folder, clients, now })
  assert.ok(new X509Certificate(readFileSync(serverEc.certFile)))
  rmSync(caFile)
  await ensureSandboxFiles({ folder, clients, now })
  const [issuer, server] = [new X509Certificate(readFileSync(caFile)), new X509Certificate(readFileSync(serverEc.certFile))]
  assert.ok(server.verify(issuer.publicKey))
})

test('a key of an algorithm that is new is added to those that are there', async () => {
  const path = (await ensureSandboxFiles({ folder, clients, now })).signingKeysFile
  const { keys } = JSON.parse(readFileSync(path, 'utf8')) as { keys: { alg: string }[] }
  writeFileSync(path, JSON.stringify({ keys: keys.filter(({ alg }) => alg !== 'EdDSA') }))
  await ensureSandboxFiles({ folder, clients, now })
  const after = JSON.parse(readFileSync(path, 'utf8')) as { keys: { alg: string }[] }
  assert.deepEqual(after.keys.slice(0, 2), keys.slice(0, 2))
  assert.equal(after.keys[2]?.alg, 'EdDSA')
})

test('the first key of a client is of the algorithm it signs with', async () => {
  const { clients: equipped } = await ensureSandboxFiles({ folder, clients, now })
  const { keys } = JSON.parse(readFileSync(equipped.get('tpp-one')?.jwksFile ?? '', 'utf8')) as { keys: { alg: string }[] }
  assert.deepEqual(
    keys.map(({ alg }) => alg),
    ['PS256', 'ES256'],
  )
})

test('signing keys are one for each algorithm, with ids; what is published of them holds nothing private', async () => {
  const keys = await createSigningKeys()
  assert.deepEqual(
    keys.keys.map(({ alg, use, kty }) => [alg, use, kty]),
    [
      ['ES256', 'sig', 'EC'],
      ['PS256', 'sig', 'RSA'],
      ['EdDSA', 'sig', 'OKP'],
    ],
  )
  for (const key of publicKeys(keys).keys) assert.ok(key.kid && !('d' in key) && !('p' in key))
})

function hex(text: string): string {
  return Buffer.from(text).toString('hex')
}
