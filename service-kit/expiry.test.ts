import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAuthority } from '@bankside/certs/authority'
import { issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { certificatesOf, type Expiring, endOfRing, watchExpiry } from './expiry.ts'
import { createLog } from './log.ts'
import { createMetrics } from './metrics.ts'

const noon = new Date('2026-03-02T12:00:00Z')
const dayMs = 86_400_000
const inDays = (days: number) => new Date(noon.getTime() + days * dayMs)

function watched(find: () => readonly Expiring[] | Promise<readonly Expiring[]>) {
  const [lines, registry, time]: [string[], ReturnType<typeof createMetrics>, { now: Date }] = [[], createMetrics('test'), { now: noon }]
  const log = createLog({ level: 'info', name: 'test' }, { write: (line: string) => void lines.push(line) })
  const watch = watchExpiry({ registry, log, clock: { now: () => time.now }, find })
  const said = () => lines.splice(0).map((line) => JSON.parse(line))
  return { watch, registry, time, said }
}

test('CERT-15 what ends within 30 days is said, within 7 as an error, and how long everything has is a gauge', async (t) => {
  const certificate = (name: string, days: number): Expiring => ({ name, kind: 'certificate', expiresAt: inDays(days) })
  const all = [certificate('TLS_EC_CERT', 31), certificate('TLS_RSA_CERT', 30), certificate('CLIENT_CA', 7), certificate('ISSUER_CA', -1)]
  const { watch, registry, time, said } = watched(() => all)
  t.after(() => watch.close())
  await watch.look()
  assert.deepEqual(
    said().map(({ name, level, msg, daysLeft }) => [name, level, msg, daysLeft]),
    [
      ['TLS_RSA_CERT', 40, 'it ends soon', 30],
      ['CLIENT_CA', 50, 'it ends soon', 7],
      ['ISSUER_CA', 50, 'it has ended', -1],
    ],
  )
  assert.match(await registry.metrics(), /bankside_expiry_seconds\{kind="certificate",name="TLS_EC_CERT",process="test"\} 2678400/)
  time.now = inDays(1)
  await watch.look()
  assert.equal(said().length, 4)
  all.splice(1)
  const after = await registry.metrics()
  assert.match(after, /name="TLS_EC_CERT",process="test"\} 2592000/)
  assert.doesNotMatch(after, /TLS_RSA_CERT/, 'what is not there any more is not told')
})

test('CERT-15 where it cannot be found out, that is said, and nobody falls over it', async (t) => {
  const { watch, said } = watched(() => Promise.reject(new Error('no such file')))
  t.after(() => watch.close())
  await watch.look()
  assert.match(JSON.stringify(said()), /it cannot be said when certificates and keys end/)
})

test('CERT-15 a chain and several authorities end with the first of them; a setting without a certificate is none', async () => {
  const authority = await createAuthority({ commonName: 'An authority', now: noon })
  const organisation = { name: 'Acorn', identifier: 'PSDGB-FCA-1', directoryId: 'ACORN', roles: [] }
  const leaf = await issueTransportCertificate(authority, { organisation, keyKind: 'ec', now: noon, validDays: 40 })
  assert.deepEqual(
    certificatesOf({ TLS_EC_CERT: leaf.cert + authority.cert, CLIENT_CA: authority.cert, OUTBOUND_CA: undefined, EMPTY: '' }),
    [
      { name: 'TLS_EC_CERT', kind: 'certificate', expiresAt: inDays(40) },
      { name: 'CLIENT_CA', kind: 'certificate', expiresAt: inDays(3_650) },
    ],
  )
})

test('CERT-15 keys end when the last of them does: one that was replaced is no alarm, one without a successor is', () => {
  const soon = noon.getTime() / 1_000
  assert.deepEqual(endOfRing('ES256', [{}, { exp: soon }]), [])
  assert.deepEqual(endOfRing('ES256', [{ exp: soon + 86_400 }, { exp: soon }]), [{ name: 'ES256', kind: 'key', expiresAt: inDays(1) }])
})
