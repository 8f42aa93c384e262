import 'reflect-metadata' // First: what issues certificates does not load without it.
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { createAuthority } from '@bankside/certs/authority'
import { qualifiedStatements } from '@bankside/certs/qualified-statements'
import { issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { detailsOf } from '@bankside/service-kit/certificate-details'
import { parseOrganisationIdentifier } from './organisation-identifier.ts'
import { unlicensedScopes } from './psp-roles.ts'
import { readQualifiedStatements } from './read-licence.ts'

const now = new Date()
const authority = await createAuthority({ commonName: 'Test authority', now })
const written = (roles: Parameters<typeof qualifiedStatements>[0]['roles']) =>
  new Uint8Array(qualifiedStatements({ roles, authorityName: 'Financial Conduct Authority', authorityId: 'GB-FCA' }).value)

test('CERT-07 the licence in a certificate is read as it was written: roles, authority, and what the certificate is for', async () => {
  const organisation = { name: 'Acorn', identifier: 'PSDGB-FCA-900101', directoryId: '00158', roles: ['PSP_AI', 'PSP_IC'] as const }
  const certificate = new X509Certificate((await issueTransportCertificate(authority, { organisation, keyKind: 'ec', now })).cert)
  const der = detailsOf(certificate).extensions.get('1.3.6.1.5.5.7.1.3')
  assert.ok(der)
  assert.deepEqual(readQualifiedStatements(der), {
    use: 'website',
    licence: { roles: new Set(['PSP_AI', 'PSP_IC']), authorityName: 'Financial Conduct Authority', authorityId: 'GB-FCA' },
  })
  assert.deepEqual(detailsOf(certificate).subject.organisationIdentifier, ['PSDGB-FCA-900101'])
  assert.deepEqual([...(detailsOf(certificate).keyUsages ?? [])], ['digitalSignature'])
})

test('CERT-07 what is no such extension, is cut short or of other types, is read as nothing and faults nobody', () => {
  const whole = written(['PSP_AI', 'PSP_PI'])
  for (let length = 0; length < whole.length; length++)
    assert.equal(readQualifiedStatements(whole.subarray(0, length)), undefined, `${length}`)
  for (let at = 0; at < whole.length; at++) {
    const changed = Uint8Array.from(whole)
    changed[at] = (changed[at] ?? 0) ^ 0xff
    assert.doesNotThrow(() => readQualifiedStatements(changed), `${at}`)
  }
  assert.equal(readQualifiedStatements(Uint8Array.from([...whole, 0])), undefined)
  assert.equal(readQualifiedStatements(Uint8Array.from([0x30, 0x84, 0x7f, 0xff, 0xff, 0xff])), undefined)
})

test('CERT-07 PSP_AI opens accounts, PSP_PI payments, PSP_IC confirmations of funds; PSP_AS nothing', () => {
  const scopes = ['openid', 'accounts', 'payments', 'fundsconfirmations']
  assert.deepEqual(unlicensedScopes(scopes, new Set(['PSP_AI'])), ['payments', 'fundsconfirmations'])
  assert.deepEqual(unlicensedScopes(scopes, new Set(['PSP_PI'])), ['accounts', 'fundsconfirmations'])
  assert.deepEqual(unlicensedScopes(scopes, new Set(['PSP_IC'])), ['accounts', 'payments'])
  assert.deepEqual(unlicensedScopes(scopes, new Set(['PSP_AS'])), ['accounts', 'payments', 'fundsconfirmations'])
})

test('CERT-06 an organisation identifier is country, authority and number; any other form is none', () => {
  assert.deepEqual(parseOrganisationIdentifier('PSDGB-FCA-123456'), { text: 'PSDGB-FCA-123456', authorityId: 'GB-FCA', number: '123456' })
  for (const text of [
    'VATGB-123456',
    'PSDGB-FCA-',
    'PSDgb-FCA-1',
    'psdgb-FCA-1',
    '',
    'PSDGB-F-1',
    'xPSDGB-FCA-1',
    'PSDGBR-FCA-1',
    `PSDGB-FCA-${'1'.repeat(65)}`,
  ])
    assert.equal(parseOrganisationIdentifier(text), undefined, text)
})
