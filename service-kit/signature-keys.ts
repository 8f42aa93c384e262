import { constants, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'

/** What JSON Web Signatures are made with here (RFC 7518, RFC 8037, RFC 9864). EdDSA means Ed25519. */
export type SignatureAlgorithm = 'PS256' | 'ES256' | 'EdDSA' | 'Ed25519'

/** Says whether a signature of one key and one algorithm is good. Never fails for what somebody sent. */
export type VerificationKey = (data: Buffer, signature: Buffer) => boolean

/**
 * Verifies with a key that is ready, at once: to hand it to another thread and to come back costs this one as much as verifying (40 to
 * 100 µs), and both together twice that. Node 24 spends 20 µs more when a key comes with options, so each algorithm is put into the
 * key itself.
 *
 * Does NOT look at `use`, `alg` or `key_ops` of a JWK: whoever makes the key has.
 *
 * @returns undefined for a key that is not one of the algorithm, or with which everybody would wait for too long.
 */
export function verificationKey(key: KeyObject, algorithm: SignatureAlgorithm): VerificationKey | undefined {
  if (key.type !== 'public') return undefined
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  switch (algorithm) {
    case 'ES256':
      return type === 'ec' && details?.namedCurve === 'prime256v1' ? elliptic(key) : undefined
    case 'PS256':
      return type === 'rsa' && isQuickRsa(details) ? rsaPss(key) : undefined
    case 'EdDSA':
    case 'Ed25519':
      return type === 'ed25519' ? (data, signature) => verify(null, data, key, signature) : undefined
  }
}

const minRsaBits = 2_048
/** Verifying takes 40 µs with 2,048 bits and 130 with these; with the public exponent that whoever made the key liked, as long as signing. */
const maxRsaBits = 4_096
const maxRsaExponent = 65_537n

const isQuickRsa = ({ modulusLength: bits = 0, publicExponent: exponent }: KeyObject['asymmetricKeyDetails'] = {}): boolean =>
  bits >= minRsaBits && bits <= maxRsaBits && exponent !== undefined && exponent <= maxRsaExponent

/** r and s of P-256, 32 bytes each (RFC 7518 section 3.4). */
const scalarBytes = 32

function elliptic(key: KeyObject): VerificationKey {
  return (data, signature) => signature.length === 2 * scalarBytes && verify('sha256', data, key, derSignature(signature))
}

/** ECDSA-Sig-Value (RFC 3279 section 2.2.3): two integers, without leading zeros but for the sign. */
export function derSignature(signature: Buffer): Buffer {
  const der = Buffer.allocUnsafe(derAtMostBytes)
  const end = writeInteger(der, writeInteger(der, 2, signature, 0), signature, scalarBytes)
  der[0] = 0x30
  der[1] = end - 2
  return der.subarray(0, end)
}

const derAtMostBytes = 2 + 2 * (3 + scalarBytes)

/** @returns where the next one begins. */
function writeInteger(der: Buffer, at: number, signature: Buffer, from: number): number {
  let first = from
  while (first < from + scalarBytes - 1 && signature[first] === 0) first++
  const sign = (signature[first] ?? 0) >= 0x80 ? 1 : 0
  const length = from + scalarBytes - first
  der[at] = 0x02
  der[at + 1] = length + sign
  der[at + 2] = 0
  signature.copy(der, at + 2 + sign, first, first + length)
  return at + 2 + sign + length
}

/** With a private key of P-256, at once. */
export function signEs256(key: KeyObject, data: Buffer): Buffer {
  const der = sign('sha256', data, key)
  const rLength = der[3] ?? 0
  const r = der.subarray(4, 4 + rLength)
  const s = der.subarray(6 + rLength)
  const signature = Buffer.alloc(2 * scalarBytes)
  for (const [integer, end] of [[r, scalarBytes] as const, [s, 2 * scalarBytes] as const]) {
    const digits = integer.subarray(Math.max(0, integer.length - scalarBytes))
    digits.copy(signature, end - digits.length)
  }
  return signature
}

const rsaEncryption = Buffer.from('300d06092a864886f70d0101010500', 'hex')
/** id-RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes (RFC 4055 section 3.1): what PS256 is, and nothing else. */
const rsassaPssSha256 = Buffer.from(
  '304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120',
  'hex',
)

/** The same key under the name of the one scheme it may be used with. */
function rsaPss(key: KeyObject): VerificationKey {
  const spki = key.export({ type: 'spki', format: 'der' })
  const at = spki.indexOf(rsaEncryption)
  if (at < 0) return (data, signature) => verify('sha256', data, pssOptions(key), signature)
  const body = Buffer.concat([rsassaPssSha256, spki.subarray(at + rsaEncryption.length)])
  const head = Buffer.from([0x30, 0x82, body.length >> 8, body.length & 0xff])
  const pss = createPublicKey({ key: Buffer.concat([head, body]), format: 'der', type: 'spki' })
  return (data, signature) => verify('sha256', data, pss, signature)
}

const pssOptions = (key: KeyObject) => ({ key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: scalarBytes })
