/** Clients that a rig brings in a file, as `npm start` reads them. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createAuthority } from '@bankside/certs/authority'
import { issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { ensureSandboxFiles } from '@bankside/certs/sandbox-files'
import { createSigningKeys, publicKeys } from '@bankside/certs/signing-keys'
import { clientRegistrations, equipmentOf } from './client-registrations.ts'
import { demoClients } from './demo-clients.ts'
import { readGivenClients } from './given-clients.ts'

const folder = mkdtempSync(join(tmpdir(), 'bankside clients '))
after(() => rmSync(folder, { recursive: true, force: true }))
const now = new Date()
const redirectUri = 'https://localhost:4438/callback'
const certificates = join(folder, 'certs')
const organisation = { name: 'Rig', identifier: 'PSDGB-FCA-1', directoryId: 'rig', roles: ['PSP_AI'] } as const

const minimal = {
  client_id: 'rig-one',
  profile: 'fapi2_sp',
  token_endpoint_auth_method: 'private_key_jwt',
  sender_constraint: 'mtls',
  redirect_uris: ['https://rig.example/callback?dummy1=lorem'],
  scopes: ['openid', 'accounts'],
}

async function registrationsOf(clients: unknown, name = 'clients.json') {
  const givenPath = join(folder, name)
  writeFileSync(givenPath, typeof clients === 'string' ? clients : JSON.stringify({ clients }))
  const given = readGivenClients(givenPath)
  const files = await ensureSandboxFiles({ folder: certificates, clients: [...demoClients, ...equipmentOf(given)], now })
  const registrations = await clientRegistrations({ files, redirectUri, audience: 'https://localhost:4432/open-banking', given, givenPath })
  return registrations.filter(({ registration }) => !demoClients.some(({ clientId }) => clientId === registration.clientId))
}

const problemsOf = async (clients: unknown): Promise<string[]> => {
  const error = await registrationsOf(clients).then(
    () => assert.fail('registered'),
    (thrown: unknown) => thrown as Error,
  )
  assert.equal(error.name, 'Problem', error.stack)
  return error.message.split('\n- ').slice(1)
}

test('a client that brings nothing gets keys, and a certificate of the sandbox’s authority', async () => {
  const [made] = await registrationsOf([minimal])
  assert.ok(made)
  const { described, registration } = made
  assert.deepEqual(
    [described.redirect_uris, described.scopes, described.first_party],
    [['https://rig.example/callback?dummy1=lorem'], ['openid', 'accounts'], false],
  )
  for (const file of [described.jwks_file, described.cert_file, described.key_file]) assert.ok(file && readFileSync(file).length > 0)
  const { keys } = publicKeys(JSON.parse(readFileSync(described.jwks_file ?? '', 'utf8')))
  assert.deepEqual(registration.metadata['jwks'], { keys })
})

test('keys by value and by file, and a certificate with its subject, are registered as they were brought; private parts are not', async () => {
  const rig = join(folder, 'rig')
  mkdirSync(rig)
  const authority = {
    cert: readFileSync(join(certificates, 'ca.pem'), 'utf8'),
    key: readFileSync(join(certificates, 'ca-key.pem'), 'utf8'),
  }
  const { cert } = await issueTransportCertificate(authority, { organisation, keyKind: 'ec', now })
  const keys = await createSigningKeys()
  writeFileSync(join(rig, 'cert.pem'), cert)
  writeFileSync(join(rig, 'keys.json'), JSON.stringify(keys))
  const brought = { ...minimal, token_endpoint_auth_method: 'tls_client_auth', cert_file: 'rig/cert.pem' }
  const [byFile, byValue] = await registrationsOf([
    { ...brought, client_id: 'rig-file', jwks_file: 'rig/keys.json' },
    { ...brought, client_id: 'rig-value', jwks: keys },
  ])
  for (const { registration, described } of [byFile ?? assert.fail(), byValue ?? assert.fail()]) {
    assert.deepEqual(registration.metadata['jwks'], publicKeys(keys))
    assert.match(String(registration.metadata['tls_client_auth_subject_dn']), /C=GB.*O=Rig.*CN=rig/)
    assert.deepEqual([described.cert_file, described.key_file], [join(rig, 'cert.pem'), null])
  }
  assert.deepEqual([byFile?.described.jwks_file, byValue?.described.jwks_file], [join(rig, 'keys.json'), null])
})

test('a certificate of another origin is registered itself where it is to be known by itself', async () => {
  const stranger = await createAuthority({ commonName: 'another authority', now })
  const { cert } = await issueTransportCertificate(stranger, { organisation, keyKind: 'ec', now })
  writeFileSync(join(folder, 'own.pem'), cert)
  const [own] = await registrationsOf([{ ...minimal, token_endpoint_auth_method: 'self_signed_tls_client_auth', cert_file: 'own.pem' }])
  assert.ok(own)
  const { keys } = own.registration.metadata['jwks'] as { keys: { x5c?: string[] }[] }
  assert.deepEqual(
    keys.flatMap(({ x5c = [] }) => x5c),
    [new X509Certificate(cert).raw.toString('base64')],
  )
  assert.ok(!('tls_client_auth_subject_dn' in own.registration.metadata))
})

test('what is wrong with the file is said all at once, by client and member', async () => {
  const stranger = await createAuthority({ commonName: 'another authority', now })
  const { cert } = await issueTransportCertificate(stranger, { organisation, keyKind: 'ec', now })
  writeFileSync(join(folder, 'strange.pem'), cert)
  writeFileSync(join(folder, 'no-keys.json'), '{"keys":[]}')
  const problems = await problemsOf([
    { ...minimal, client_id: 'no', unknown_member: 1 },
    { ...minimal, jwks_file: 'missing.json', cert_file: 'no-keys.json' },
    { ...minimal, client_id: 'rig-empty', jwks_file: 'no-keys.json' },
    { ...minimal, client_id: 'rig-strange', cert_file: 'strange.pem' },
    { ...minimal, client_id: 'tpp-pkjwt-dpop' },
    { ...minimal, client_id: 'rig-twice' },
    { ...minimal, client_id: 'rig-twice', scopes: ['accounts', 'everything'] },
    { ...minimal, client_id: 'rig-policy', redirect_uris: ['http://rig.example/'] },
    { ...minimal, client_id: 'rig-metadata', metadata: { client_secret: 'x', grant_types: ['implicit'] } },
  ])
  const expected = [
    /^clients\[0\]: client_id: must be 4 to 64/,
    /^clients\[0\]: .*unknown_member/,
    /^rig-one: jwks_file: .*missing.json cannot be read \(ENOENT\)/,
    /^rig-one: cert_file: .* is no certificate/,
    /^rig-empty: jwks_file: .* holds no keys/,
    /^tpp-pkjwt-dpop: there is a client of this id/,
    /^rig-twice: there is a client of this id/,
    /^rig-strange: cert_file is not of /,
    /^rig-twice: scopes may be .*; not everything/,
    /^rig-policy: redirect URIs are https/,
    /^rig-metadata: grant_types/,
    /^rig-metadata: client_secret/,
  ]
  assert.equal(problems.length, expected.length, problems.join('\n'))
  for (const [index, pattern] of expected.entries()) assert.match(problems[index] ?? '', pattern)
})

test('a file that is missing, cut short or of another shape: a sentence', async () => {
  assert.match(readGivenClients(join(folder, 'nowhere.json')).problems.join(), /nowhere.json cannot be read \(ENOENT\)/)
  assert.match((await problemsOf('{"clients":')).join(), /is not JSON/)
  assert.match((await problemsOf('[]')).join(), /expected object/)
})
