import { createHash } from 'node:crypto'
import { leastRecentlyUsed } from '@bankside/service-kit/least-recently-used'
import { Refusal } from '@bankside/service-kit/refusal'
import {
  type CryptoKey,
  calculateJwkThumbprint,
  decodeProtectedHeader,
  errors,
  importJWK,
  type JWK,
  type JWTPayload,
  jwtVerify,
  type KeyObject,
} from 'jose'
import type { AccessTokenRefusal } from './request-refusal.ts'

/** EdDSA and Ed25519 (RFC 9864) are two names of one algorithm here: no other curve passes. */
export const proofAlgorithms = ['ES256', 'PS256', 'EdDSA', 'Ed25519']
/** RFC 9449 section 11.1: how old a proof may be, and how far the client's clock may run ahead. */
const proofMaxAgeSeconds = 60
const proofMaxFutureSeconds = 10
const identifierLimit = 256
const proofLimit = 4_096
const knownKeys = 1_000

export type ProofOf = { readonly method: string; readonly url: string; readonly accessToken: string; readonly now: Date }
export type VerifiedProof = { readonly thumbprint: string; readonly identifierHash: Buffer; readonly expiresAt: Date }
type ProofKey = { readonly key: CryptoKey | KeyObject | Uint8Array; readonly algorithm: string; readonly thumbprint: string }

/** A client signs every proof with one key: importing it and hashing it once is a third of the cost of a proof. */
const keysByHeader = leastRecentlyUsed<string, ProofKey>(knownKeys)

/**
 * Verifies that a DPoP proof belongs to this request and this access token, and says whose key made it.
 * It does NOT verify that the token is bound to that key, nor that the proof was not used before: see `identifierHash`.
 *
 * @throws {Refusal} `proof_invalid`.
 * @see RFC 9449 section 4.3
 */
export async function verifyDpopProof(proof: string, of: ProofOf): Promise<VerifiedProof> {
  if (proof.length > proofLimit) refuseProof('the proof is too long')
  const { key, algorithm, thumbprint } = await proofKey(proof)
  const { payload } = await jwtVerify(proof, key, { algorithms: [algorithm], typ: 'dpop+jwt', currentDate: of.now }).catch(asRefusal)
  const issuedAt = checkClaims(payload, of)
  return {
    thumbprint,
    identifierHash: createHash('sha256').update(['dpop', thumbprint, of.method, of.url, payload.jti].join('\0')).digest(),
    expiresAt: new Date((issuedAt + proofMaxAgeSeconds + 1) * 1_000),
  }
}

async function proofKey(proof: string): Promise<ProofKey> {
  const encodedHeader = proof.slice(0, Math.max(proof.indexOf('.'), 0))
  const known = keysByHeader.get(encodedHeader)
  if (known !== undefined) return known
  try {
    const { typ, alg, jwk } = decodeProtectedHeader(proof)
    if (typ !== 'dpop+jwt') refuseProof('typ must be dpop+jwt')
    if (alg === undefined || !proofAlgorithms.includes(alg)) refuseProof('the algorithm is not supported')
    if (jwk === undefined || !isPublicKey(jwk)) refuseProof('jwk must be a public key')
    const found = { key: await importJWK(jwk, alg), algorithm: alg, thumbprint: await calculateJwkThumbprint(jwk) }
    keysByHeader.set(encodedHeader, found)
    return found
  } catch (error) {
    return asRefusal(error)
  }
}

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

function isPublicKey(jwk: JWK): boolean {
  return typeof jwk === 'object' && ['EC', 'RSA', 'OKP'].includes(jwk.kty ?? '') && !privateMembers.some((member) => member in jwk)
}

function checkClaims(payload: JWTPayload, of: ProofOf): number {
  const { jti, iat } = payload
  if (typeof jti !== 'string' || jti === '' || jti.length > identifierLimit) refuseProof('jti is missing')
  if (payload['htm'] !== of.method) refuseProof('htm is of another request')
  if (!isSameUrl(payload['htu'], of.url)) refuseProof('htu is of another request')
  if (payload['ath'] !== createHash('sha256').update(of.accessToken).digest('base64url')) refuseProof('ath is of another access token')
  const ageSeconds = of.now.getTime() / 1_000 - (typeof iat === 'number' ? iat : Number.NaN)
  if (!(ageSeconds <= proofMaxAgeSeconds && ageSeconds >= -proofMaxFutureSeconds)) refuseProof('iat is not now')
  return iat as number
}

/** Compared without query and fragment after normalisation (DPOP-02). */
function isSameUrl(htu: unknown, expected: string): boolean {
  const url = typeof htu === 'string' ? URL.parse(htu) : null
  return url !== null && url.username === '' && url.password === '' && `${url.origin}${url.pathname}` === expected
}

export function refuseProof(message: string, cause?: unknown): never {
  throw new Refusal<AccessTokenRefusal>('proof_invalid', message, { cause })
}

/** Whatever is wrong with a key or a signature is the client's doing: importing a malformed JWK throws more than JOSE errors. */
function asRefusal(error: unknown): never {
  if (error instanceof Refusal) throw error
  const ofTheProof =
    error instanceof errors.JOSEError || error instanceof TypeError || error instanceof DOMException || error instanceof SyntaxError
  if (!ofTheProof) throw error
  return refuseProof('the proof is not valid', error)
}
