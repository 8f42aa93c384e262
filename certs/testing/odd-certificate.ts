import 'reflect-metadata' // First: @peculiar/x509 does not load without it.
import { webcrypto } from 'node:crypto'
import {
  BasicConstraintsExtension,
  CertificatePolicyExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonName,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import type { Credential } from '../authority.ts'
import { qualifiedStatements } from '../qualified-statements.ts'

type Licence = Parameters<typeof qualifiedStatements>[0]

export type Oddity = {
  readonly subject?: JsonName
  readonly key?: 'ec' | 'rsa1024' | 'rsa2048' | 'p384'
  readonly signatureHash?: 'SHA-1' | 'SHA-256'
  readonly purposes?: readonly ExtendedKeyUsage[]
  readonly keyUsages?: KeyUsageFlags
  readonly validFrom?: Date
  readonly validTo?: Date
  readonly licence?: Licence | undefined
  readonly policies?: readonly string[]
}

const day = 86_400_000
const keyAlgorithms = {
  ec: { name: 'ECDSA', namedCurve: 'P-256' },
  p384: { name: 'ECDSA', namedCurve: 'P-384' },
  rsa1024: { name: 'RSASSA-PKCS1-v1_5', modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
  rsa2048: { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
} as const

/** A certificate that no authority should issue, by one that is trusted: each check must hold by itself. */
export async function issueOddCertificate(authority: Credential, oddity: Oddity, now: Date): Promise<Credential> {
  const keys = await webcrypto.subtle.generateKey(keyAlgorithms[oddity.key ?? 'ec'], true, ['sign', 'verify'])
  const signing = { name: 'ECDSA', namedCurve: 'P-256', hash: oddity.signatureHash ?? 'SHA-256' } as const
  const issuer = new X509Certificate(authority.cert)
  const certificate = await X509CertificateGenerator.create({
    serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(15))).toString('hex'),
    subject: oddity.subject ?? [{ C: ['GB'] }, { O: ['Acorn Ltd'] }, { '2.5.4.97': ['PSDGB-FCA-900101'] }, { CN: ['0015800000ACORN'] }],
    issuer: issuer.subjectName,
    publicKey: keys.publicKey,
    signingKey: await webcrypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(authority.key), signing, false, ['sign']),
    signingAlgorithm: signing,
    notBefore: oddity.validFrom ?? new Date(now.getTime() - day),
    notAfter: oddity.validTo ?? new Date(now.getTime() + 90 * day),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(oddity.keyUsages ?? KeyUsageFlags.digitalSignature, true),
      ...(oddity.purposes?.length === 0 ? [] : [new ExtendedKeyUsageExtension([...(oddity.purposes ?? [ExtendedKeyUsage.clientAuth])])]),
      new SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }]),
      ...(oddity.policies === undefined ? [] : [new CertificatePolicyExtension([...oddity.policies])]),
      ...(oddity.licence === undefined ? [] : [qualifiedStatements(oddity.licence)]),
    ],
  })
  const key = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
  return { cert: certificate.toString('pem'), key }
}
