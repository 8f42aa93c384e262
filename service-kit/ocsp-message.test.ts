import 'reflect-metadata' // First: what issues certificates does not load without it.
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { type Credential, createAuthority } from '@bankside/certs/authority'
import { answerOcsp, type OcspResponder } from '@bankside/certs/ocsp-responder'
import { issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { issueOddCertificate, type Oddity } from '@bankside/certs/testing/odd-certificate'
import { detailsOf } from './certificate-details.ts'
import { type OcspQuestion, ocspRequest, readOcspResponse } from './ocsp-message.ts'

const now = new Date('2026-03-02T12:00:00Z')
const minutes = (count: number) => new Date(now.getTime() + count * 60_000)
const organisation = { name: 'Acorn', identifier: 'PSDGB-FCA-900101', directoryId: '00158', roles: [] }
const authority = await createAuthority({ commonName: 'Authority', now })
const namesake = await createAuthority({ commonName: 'Authority', now })
const parse = ({ cert }: Credential) => new X509Certificate(cert)
const issue = () => issueTransportCertificate(authority, { organisation, keyKind: 'ec', now, ocspResponder: 'http://ocsp.example/a' })
const [leaf, other] = [await issue(), await issue()]
const mayAnswer = '1.3.6.1.5.5.7.3.9'
const delegate = (by: Credential, oddity: Oddity = {}) =>
  issueOddCertificate(by, { purposes: [mayAnswer as never], subject: [{ CN: ['Responder'] }], ...oddity }, now)

const nonce = Buffer.alloc(32, 7)
const question: OcspQuestion = { certificate: parse(leaf), issuer: parse(authority), nonce, now }
const answer = (over: Partial<OcspResponder> = {}, asked: Partial<OcspQuestion> = {}) =>
  answerOcsp(ocspRequest({ ...question, ...asked }), { signer: authority, statusOf: () => 'good', now, nextUpdate: minutes(60), ...over })
const read = (response: Uint8Array, over: Partial<OcspQuestion> = {}) => readOcspResponse(response, { ...question, ...over })

test('CERT-04 what the authority answers about a certificate is read: good, revoked, or never heard of', () => {
  assert.deepEqual(detailsOf(question.certificate).ocspResponders, ['http://ocsp.example/a'])
  const { serialNumber } = question.certificate
  assert.deepEqual(read(answer()), { status: 'good', thisUpdate: now, nextUpdate: minutes(60), responder: undefined })
  const statusOf = (asked: string) => (asked === serialNumber ? { revokedAt: now } : 'good')
  assert.equal(read(answer({ statusOf })).status, 'revoked')
  assert.equal(read(answer({ statusOf: () => 'unknown' })).status, 'unknown')
})

for (const key of ['ec', 'rsa2048'] as const)
  test(`CERT-04 whom the authority lets answer for it (${key}) is believed, and told, so that its own revocation is asked about`, async () => {
    const signer = await delegate(authority, { key })
    const { status, responder } = read(answer({ signer, withCertificate: true }))
    assert.deepEqual([status, responder?.subject], ['good', 'CN=Responder'])
  })

const refusals: readonly (readonly [string, () => Uint8Array | Promise<Uint8Array>, RegExp, Partial<OcspQuestion>?])[] = [
  ['signed by an authority of the same name', () => answer({ signer: namesake }), /does not hold the certificate/],
  ['signed by such a one, with its certificate', () => answer({ signer: namesake, withCertificate: true }), /none of this issuer/],
  [
    'of a responder that another authority let answer',
    async () => answer({ signer: await delegate(namesake), withCertificate: true }),
    /none of this issuer/,
  ],
  ['of a responder whose certificate does not come with it', async () => answer({ signer: await delegate(authority) }), /does not hold/],
  ['signed by a third party with its own certificate', () => answer({ signer: other, withCertificate: true }), /not one that may answer/],
  ['signed by the very certificate that it is about', () => answer({ signer: leaf, withCertificate: true }), /not one that may answer/],
  [
    'of a responder whose certificate has ended',
    async () => answer({ signer: await delegate(authority, { validTo: minutes(-1) }), withCertificate: true }),
    /not current/,
  ],
  ['about another certificate', () => answer({}, { certificate: parse(other) }), /another certificate/],
  ['about the same number of another authority', () => answer({}, { issuer: parse(namesake) }), /another certificate/],
  ['to another request', () => answer({}, { nonce: Buffer.alloc(32, 8) }), /another request/],
  ['from the future', () => answer({ now: minutes(6), nextUpdate: minutes(60) }), /future/],
  ['that ends before it begins', () => answer({ nextUpdate: minutes(-1) }), /before it begins/],
  [
    'that it did not understand',
    () => answerOcsp(Buffer.from('no request'), { signer: authority, statusOf: () => 'good', now }),
    /malformedRequest/,
  ],
  ['that is none', () => Buffer.from('<html>'), /no OCSP response/],
]
for (const [what, response, because, over] of refusals)
  test(`CERT-04 a response ${what} says nothing`, async () => {
    const bytes = await response()
    assert.throws(() => read(bytes, over), { name: 'OcspError', message: because })
  })

test('CERT-04 a response changed in any byte, or cut short anywhere, is none or says what it said', () => {
  const whole = answer({ statusOf: () => ({ revokedAt: now }) })
  for (let at = 0; at < whole.length; at++) {
    const changed = Buffer.from(whole)
    changed[at] = (changed[at] ?? 0) ^ 0x01
    try {
      assert.equal(read(changed).status, 'revoked', `${at}`)
    } catch (error) {
      assert.equal((error as Error).name, 'OcspError', `${at}: ${error}`)
    }
    assert.throws(() => read(whole.subarray(0, at)), { name: 'OcspError' })
  }
})

test('CERT-04 a response made beforehand, without a nonce, is taken by its times; one without an end lasts ten minutes', () => {
  assert.equal(read(answer({ withNonce: false })).status, 'good')
  assert.deepEqual(read(answer({ nextUpdate: undefined })).nextUpdate, minutes(10))
})
