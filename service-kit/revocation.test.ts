import 'reflect-metadata' // First: what issues certificates does not load without it.
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Credential, createAuthority } from '@bankside/certs/authority'
import { answerOcsp, type OcspResponder } from '@bankside/certs/ocsp-responder'
import { issueRevocationList } from '@bankside/certs/revocation-list'
import { issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { issueOddCertificate } from '@bankside/certs/testing/odd-certificate'
import { createLog } from './log.ts'
import { openRevocation, type Revocation } from './revocation.ts'
import type { RevocationStatus } from './revocation-lists.ts'

const minute = 60_000
const start = new Date('2026-03-02T12:00:00Z')
const organisation = { name: 'Acorn', identifier: 'PSDGB-FCA-900101', directoryId: '00158', roles: [] }
const authority = await createAuthority({ commonName: 'Authority', now: start })
const issue = async (ocspResponder?: string) =>
  new X509Certificate((await issueTransportCertificate(authority, { organisation, keyKind: 'ec', now: start, ocspResponder })).cert)
const stranger = await createAuthority({ commonName: 'Authority', now: start })
const later = new Date(start.getTime() + 20 * minute)
const [acorn, silent] = [await issue('http://ocsp.example/a'), await issue()]

type World = {
  /** The certificates that the authority has taken back. */
  readonly revoked?: Set<string>
  readonly answers?: (request: Buffer) => Uint8Array | Promise<Uint8Array>
  readonly responder?: Partial<OcspResponder>
  readonly list?: 'current' | 'none'
  readonly kept?: Map<string, Uint8Array>
  readonly asks?: boolean
}

/** What a process knows, with a responder and a list of one authority. Lists and responses last an hour, and serve two more. */
function open({ revoked = new Set(), answers, responder = {}, list = 'none', kept = new Map(), asks = true }: World = {}) {
  const time = { now: start }
  const asked: string[] = []
  const state = { down: false, asked, lines: [] as string[] }
  const statusOf: OcspResponder['statusOf'] = (serial) => (revoked.has(serial) ? { revokedAt: time.now } : 'good')
  const until = () => new Date(time.now.getTime() + 60 * minute)
  const revocation = openRevocation({
    lists: {
      ...{ urls: list === 'none' ? [] : ['https://ca.example/list'], authorities: authority.cert, staleAtMostMs: 120 * minute },
      clock: { now: () => time.now },
      log: createLog({ level: 'warn', name: 'test' }, { write: (line: string) => void state.lines.push(line) }),
      read: () => issueRevocationList(authority, { revoked: [], now: time.now, nextUpdate: until() }),
    },
    ocsp: {
      ...(asks && {
        async ask(url: string, request: Buffer) {
          asked.push(url)
          if (state.down) throw new Error('down')
          return (
            answers?.(request) ?? answerOcsp(request, { signer: authority, statusOf, now: time.now, nextUpdate: until(), ...responder })
          )
        },
      }),
      recall: async (fingerprint) => kept.get(fingerprint),
      keep: async (fingerprint, response) => void kept.set(fingerprint, response),
    },
  })
  const status = async (certificate = acorn) => revocation.status(certificate)
  return {
    ...{ revocation, state, asked, kept, status },
    at: (minutes: number) => (time.now = new Date(start.getTime() + minutes * minute)),
  }
}
/** Whoever asks behind the back of others is through with it, too. */
const becomes = async ({ known }: Revocation, status: RevocationStatus) => {
  const deadline = performance.now() + 5_000
  do await sleep(1)
  while (known(acorn) !== status && performance.now() < deadline)
  assert.equal(known(acorn), status)
}

test('CERT-04 a certificate is asked about when it first comes, where itself says, once however many come; then nobody waits', async () => {
  const { revocation, asked, status, at } = open()
  assert.equal(revocation.known(acorn), 'unknown')
  assert.deepEqual(await Promise.all([status(), status(), status()]), ['good', 'good', 'good'])
  assert.deepEqual(asked, ['http://ocsp.example/a'])
  at(4.9)
  assert.equal(revocation.status(acorn), 'good', 'no promise')
  assert.equal(asked.length, 1)
})

test('CERT-04 whoever was revoked is refused within minutes: behind the back of who comes all the time, before the eyes of who was away', async () => {
  const revoked = new Set<string>()
  const { revocation, status, at, asked } = open({ revoked })
  await status()
  revoked.add(acorn.serialNumber)
  at(5)
  assert.equal(revocation.status(acorn), 'good', 'it is asked behind its back')
  await becomes(revocation, 'revoked')
  at(10)
  revoked.clear()
  assert.equal(await status(), 'revoked', 'the responder is asked, and the answer is not waited for')
  // It was on hold.
  await becomes(revocation, 'good')
  revoked.add(acorn.serialNumber)
  at(26)
  assert.equal(await status(), 'revoked')
  assert.equal(asked.length, 4)
})

test('CERT-04 while the responder is down, who was good goes on until its response has ended, then as stale, then no more; it is not asked with every request', async () => {
  const { status, at, state, asked } = open()
  await status()
  state.down = true
  for (const [minutes, expected] of [
    [30, 'good'],
    [60, 'good'],
    [61, 'stale'],
    [180, 'stale'],
    [181, 'unknown'],
  ] as const) {
    at(minutes)
    assert.equal(await status(), expected, `${minutes} min`)
    await status()
  }
  assert.equal(asked.length, 6)
  assert.match(state.lines.join(''), /nobody said whether a certificate was revoked/)
})

test('CERT-04 where nobody answers, the list does; where there is none either, nothing is known', async () => {
  const both = open({ list: 'current' })
  both.state.down = true
  await both.revocation.refresh()
  assert.deepEqual([await both.status(), await both.status(silent)], ['good', 'good'])
  const neither = open()
  neither.state.down = true
  assert.deepEqual([await neither.status(), await neither.status(silent)], ['unknown', 'unknown'])
  assert.equal(await open({ responder: { statusOf: () => 'unknown' } }).status(), 'unknown', 'who was never heard of is not good')
  const told = open({ list: 'current', revoked: new Set([acorn.serialNumber]) })
  await told.revocation.refresh()
  assert.equal(await told.status(), 'revoked', 'though no list has it yet')
})

test('CERT-04 an old response that is played back, one that has ended, and one by nobody change nothing', async () => {
  const revoked = new Set<string>()
  const world = open({ revoked, responder: { withNonce: false } })
  await world.status()
  const old = world.kept.get(acorn.fingerprint256) ?? assert.fail('nothing was kept')
  revoked.add(acorn.serialNumber)
  world.at(16)
  assert.equal(await world.status(), 'revoked')
  const { kept } = world
  const by = (signer: Credential) => (request: Buffer) => answerOcsp(request, { signer, statusOf: () => 'good', now: later })
  for (const answers of [() => old, by(stranger), () => Buffer.from('no')]) {
    const attacked = open({ answers, kept: new Map(kept) })
    attacked.at(20)
    assert.equal(await attacked.status(), 'revoked', 'what was kept before')
    assert.deepEqual(attacked.kept, kept, 'and nothing else is kept')
  }
})

test('CERT-04 a responder that was revoked itself is not believed, unless its authority says that nobody need ask', async () => {
  const signer = await issueOddCertificate(authority, { purposes: ['1.3.6.1.5.5.7.3.9' as never], subject: [{ CN: ['Responder'] }] }, start)
  const { serialNumber } = new X509Certificate(signer.cert)
  const time = { now: start, revoked: [] as string[] }
  const revocation = openRevocation({
    lists: {
      ...{ urls: ['https://ca.example/list'], authorities: authority.cert, staleAtMostMs: 0, clock: { now: () => time.now } },
      log: createLog({ level: 'silent', name: 'test' }),
      read: () =>
        issueRevocationList(authority, {
          revoked: time.revoked.map((each) => ({ serialNumber: each, revokedAt: time.now })),
          ...{ now: time.now, nextUpdate: new Date(time.now.getTime() + minute) },
        }),
    },
    ocsp: {
      ask: async (_url, request) =>
        answerOcsp(request, {
          signer,
          withCertificate: true,
          statusOf: () => ({ revokedAt: start }),
          now: time.now,
          nextUpdate: new Date(time.now.getTime() + minute),
        }),
      recall: async () => undefined,
    },
  })
  time.revoked = [serialNumber]
  await revocation.refresh()
  assert.equal(await revocation.status(acorn), 'good', 'the list has it, and the responder is nobody')
  time.revoked = []
  time.now = new Date(start.getTime() + 16 * minute)
  await revocation.refresh()
  assert.equal(await revocation.status(acorn), 'revoked')
  revocation.close()
})

test('CERT-04 a process that asks nobody goes by what another got, and notices soon that there is more', async () => {
  const kept = new Map<string, Uint8Array>()
  const reader = open({ asks: false, kept })
  assert.equal(await reader.status(), 'unknown')
  await open({ kept }).status()
  assert.equal(await reader.status(), 'unknown', 'it has just looked')
  reader.at(1 / 60)
  assert.equal(await reader.status(), 'good')
})
