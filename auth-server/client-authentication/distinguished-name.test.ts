import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { before, test } from 'node:test'
import { createAuthority } from '@bankside/certs/authority'
import { issueTransportCertificate } from '@bankside/certs/sandbox-credentials'
import { isSubjectOf, parseDistinguishedName } from './distinguished-name.ts'

let certificate: X509Certificate

before(async () => {
  const now = new Date()
  const authority = await createAuthority({ commonName: 'Authority', now })
  const organisation = {
    name: 'Smith, Jones + Sons; Ltd',
    identifier: 'PSDGB-FCA-900101',
    directoryId: '0015800000ACORN',
    roles: ['PSP_AI'] as const,
  }
  certificate = new X509Certificate((await issueTransportCertificate(authority, { organisation, keyKind: 'ec', now })).cert)
})

const name = 'Smith\\, Jones \\+ Sons\\; Ltd'
const same = [
  ['as RFC 4514 writes it', `CN=0015800000ACORN,organizationIdentifier=PSDGB-FCA-900101,O=${name},C=GB`],
  ['with an OID for the organisation identifier', `CN=0015800000ACORN,2.5.4.97=PSDGB-FCA-900101,O=${name},C=GB`],
  ['with a prefixed OID', `CN=0015800000ACORN,OID.2.5.4.97=PSDGB-FCA-900101,O=${name},C=GB`],
  ['with the value as BER', `CN=0015800000ACORN,2.5.4.97=#0c1050534447422d4643412d393030313031,O=${name},C=GB`],
  ['with spaces after the commas', `CN=0015800000ACORN, organizationIdentifier = PSDGB-FCA-900101, O=${name}, C=GB`],
  ['from the other end', `C=GB,O=${name},organizationIdentifier=PSDGB-FCA-900101,CN=0015800000ACORN`],
  ['in other letter case', `cn=0015800000acorn,ORGANIZATIONIDENTIFIER=psdgb-fca-900101,o=${name.toUpperCase()},c=gb`],
  ['with the value in quotes', 'CN=0015800000ACORN,2.5.4.97=PSDGB-FCA-900101,O="Smith, Jones + Sons; Ltd",C=GB'],
  ['with escaped bytes', 'CN=0015800000ACORN,2.5.4.97=PSDGB-FCA-900101,O=Smith\\2c Jones \\2b Sons\\3b Ltd,C=GB'],
] as const

for (const [how, text] of same) test(`MTLS-01 a subject ${how} is the same subject`, () => assert.ok(isSubjectOf(certificate, text)))

const different = [
  ['of another common name', `CN=0015800000ACORM,organizationIdentifier=PSDGB-FCA-900101,O=${name},C=GB`],
  ['with one name less', `CN=0015800000ACORN,O=${name},C=GB`],
  ['with one name more', `CN=0015800000ACORN,organizationIdentifier=PSDGB-FCA-900101,OU=x,O=${name},C=GB`],
  ['with values exchanged', `CN=PSDGB-FCA-900101,organizationIdentifier=0015800000ACORN,O=${name},C=GB`],
  ['with all in one name', `CN=0015800000ACORN+2.5.4.97=PSDGB-FCA-900101+O=${name}+C=GB`],
  ['without escapes', 'CN=0015800000ACORN,2.5.4.97=PSDGB-FCA-900101,O=Smith, Jones + Sons; Ltd,C=GB'],
  ['that is no name at all', 'hello'],
  ['that is nothing', ''],
] as const

for (const [how, text] of different)
  test(`MTLS-01 a subject ${how} is another subject`, () => assert.equal(isSubjectOf(certificate, text), false))

test('MTLS-01 attributes of one name have no order', () => {
  const sorted = (text: string) => parseDistinguishedName(text)?.map((attributes) => [...attributes].sort())
  assert.deepEqual(sorted('CN=a+OU=b,C=GB'), sorted('OU=b+CN=a,C=GB'))
})
