import 'reflect-metadata' // First: what issues certificates does not load without it.
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { createAuthority } from '@bankside/certs/authority'
import { issueRevocationList } from '@bankside/certs/revocation-list'
import { issueOddCertificate } from '@bankside/certs/testing/odd-certificate'
import { createLog } from './log.ts'
import { openRevocationLists } from './revocation-lists.ts'

const hour = 3_600_000
const start = new Date('2026-03-02T12:00:00.000Z')
const authority = await createAuthority({ commonName: 'Authority', now: start })
const stranger = await createAuthority({ commonName: 'Authority', now: start })
const [good, bad, foreign] = await Promise.all(
  [authority, authority, stranger].map(async (issuer) => new X509Certificate((await issueOddCertificate(issuer, {}, start)).cert)),
)
assert.ok(good && bad && foreign)
const serial = bad.serialNumber

const listed = (now: Date, revoked: readonly string[] = [serial], by = authority) =>
  issueRevocationList(by, {
    revoked: revoked.map((serialNumber) => ({ serialNumber, revokedAt: now })),
    now,
    nextUpdate: new Date(now.getTime() + hour),
  })

function open(answers: (Uint8Array | Error | undefined)[], urls = ['https://ca.example/list']) {
  const time = { now: start }
  const logged: string[] = []
  const lists = openRevocationLists({
    ...{ urls, authorities: authority.cert, staleAtMostMs: 2 * hour, clock: { now: () => time.now } },
    log: createLog({ level: 'warn', name: 'test' }, { write: (line: string) => void logged.push(line) }),
    async read() {
      const answer = answers.shift()
      if (answer instanceof Error) throw answer
      return answer
    },
  })
  return { lists, logged, at: (hours: number) => (time.now = new Date(start.getTime() + hours * hour)) }
}

test('CERT-04 MTLS-07 a certificate that the list of its issuer names is revoked, another is good', async () => {
  const { lists } = open([await listed(start)])
  await lists.refresh()
  assert.deepEqual([lists.status(good), lists.status(bad), lists.status(foreign)], ['good', 'revoked', 'unknown'])
})

test('CERT-04 without a list nothing is known; where none is configured nothing is asked', async () => {
  const { lists, logged } = open([new Error('down'), undefined])
  assert.equal(lists.status(good), 'unknown')
  await lists.refresh()
  await lists.refresh()
  assert.equal(lists.status(good), 'unknown')
  assert.equal(logged.length, 1)
  assert.equal(open([], []).lists.status(good), 'good')
})

test('CERT-04 a list that is overdue serves a while, then no more; who was revoked stays revoked', async () => {
  const { lists, at } = open([await listed(start), new Error('down')])
  await lists.refresh()
  await lists.refresh()
  for (const [hours, status] of [
    [0.9, 'good'],
    [1.1, 'stale'],
    [2.9, 'stale'],
    [3.1, 'unknown'],
  ] as const) {
    at(hours)
    assert.deepEqual([lists.status(good), lists.status(bad)], [status, 'revoked'], `${hours} h`)
  }
})

test('CERT-04 a list by anybody else, a broken one and an old one played back change nothing', async () => {
  const old = await listed(new Date(start.getTime() - hour), [])
  const { lists, logged } = open([await listed(start), await listed(start, [], stranger), new Uint8Array([0x30, 0x00]), old])
  for (let round = 0; round < 4; round++) await lists.refresh()
  assert.equal(lists.status(bad), 'revoked')
  assert.equal(logged.length, 2)
})
