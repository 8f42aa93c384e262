import 'reflect-metadata' // First: @peculiar/x509 does not load without it.
import { webcrypto } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  CertificatePolicyExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonGeneralNames,
  type JsonName,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

cryptoProvider.set(webcrypto as unknown as Crypto)
type Crypto = Parameters<typeof cryptoProvider.set>[0]

/** A certificate and its private key, in PEM. */
export type Credential = { readonly cert: string; readonly key: string }
export type KeyKind = 'ec' | 'rsa'

export type Order = {
  readonly subject: JsonName
  readonly keyKind: KeyKind
  readonly names: JsonGeneralNames
  readonly usages: readonly ExtendedKeyUsage[]
  readonly extensions?: readonly Extension[]
  readonly validDays?: number
}

const day = 86_400_000
const authorityValidDays = 3_650
/** The longest that browsers accept. */
const leafValidDays = 397
/** Under the number that IANA keeps for examples (RFC 5612): whoever sees it knows that the certificate is not a real one. */
const sandboxPolicy = '1.3.6.1.4.1.32473.1.1'

const algorithms = {
  ec: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  rsa: { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
} as const

/** A self-signed authority that may sign leaves only. */
export async function createAuthority({ commonName, now }: { commonName: string; now: Date }): Promise<Credential> {
  const keys = await generateKeys('ec')
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: [{ C: ['GB'] }, { O: ['Bankside sandbox'] }, { CN: [commonName] }],
    keys,
    signingAlgorithm: algorithms.ec,
    notBefore: new Date(now.getTime() - day),
    notAfter: new Date(now.getTime() + authorityValidDays * day),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: certificate.toString('pem'), key: await exportKey(keys.privateKey) }
}

/** A client's own, for which nobody else vouches (RFC 8705 section 2.2). */
export async function selfSign({ commonName, now }: { commonName: string; now: Date }): Promise<Credential> {
  const keys = await generateKeys('ec')
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: [{ CN: [commonName] }],
    keys,
    signingAlgorithm: algorithms.ec,
    notBefore: new Date(now.getTime() - day),
    notAfter: new Date(now.getTime() + leafValidDays * day),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]),
    ],
  })
  return { cert: certificate.toString('pem'), key: await exportKey(keys.privateKey) }
}

/** Issues a leaf for a key that is made here. SHA-256 throughout, keys of 2048 bits or P-256. */
export async function issue(authority: Credential, order: Order, now: Date): Promise<Credential> {
  const issuer = new X509Certificate(authority.cert)
  const keys = await generateKeys(order.keyKind)
  const keyUsages = KeyUsageFlags.digitalSignature | (order.keyKind === 'rsa' ? KeyUsageFlags.keyEncipherment : 0)
  const certificate = await X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: order.subject,
    issuer: issuer.subjectName,
    publicKey: keys.publicKey,
    signingKey: await importAuthorityKey(authority.key),
    signingAlgorithm: algorithms.ec,
    notBefore: new Date(now.getTime() - day),
    notAfter: new Date(now.getTime() + (order.validDays ?? leafValidDays) * day),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(keyUsages, true),
      new ExtendedKeyUsageExtension([...order.usages]),
      new SubjectAlternativeNameExtension(order.names),
      new CertificatePolicyExtension([sandboxPolicy]),
      await AuthorityKeyIdentifierExtension.create(issuer),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      ...(order.extensions ?? []),
    ],
  })
  return { cert: certificate.toString('pem'), key: await exportKey(keys.privateKey) }
}

function generateKeys(kind: KeyKind): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithms[kind], true, ['sign', 'verify'])
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')
}

function importAuthorityKey(pem: string): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(pem), algorithms.ec, false, ['sign'])
}

/** Positive and 127 bits long: the first bit is the sign, the second keeps the length. */
function randomSerial(): string {
  const bytes = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)))
  bytes.writeUInt8((bytes.readUInt8(0) & 0x7f) | 0x40, 0)
  return bytes.toString('hex')
}
