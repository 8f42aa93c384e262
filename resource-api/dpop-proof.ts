import { hash, KeyObject, type webcrypto } from 'node:crypto'
import { plainObjectIn, type Segments, segmentsOf, verifiedPayload } from '@bankside/service-kit/compact-jws'
import { leastRecentlyUsed } from '@bankside/service-kit/least-recently-used'
import { Refusal } from '@bankside/service-kit/refusal'
import { type SignatureAlgorithm, type VerificationKey, verificationKey } from '@bankside/service-kit/signature-keys'
import { calculateJwkThumbprint, decodeProtectedHeader, errors, importJWK, type JWK, type JWTPayload, jwtVerify } from 'jose'
import type { AccessTokenRefusal } from './request-refusal.ts'

/** EdDSA and Ed25519 (RFC 9864) are two names of one algorithm here: no other curve passes. */
export const proofAlgorithms: readonly SignatureAlgorithm[] = ['ES256', 'PS256', 'EdDSA', 'Ed25519']
/** RFC 9449 section 11.1: how old a proof may be, and how far the client's clock may run ahead. */
const proofMaxAgeSeconds = 60
const proofMaxFutureSeconds = 10
const identifierLimit = 256
const proofLimit = 4_096
const knownKeys = 1_000

export type ProofOf = {
  readonly method: string
  readonly url: string /** What `ath` must be. */
  readonly tokenHash: string
  readonly now: Date
}
export type VerifiedProof = { readonly thumbprint: string; readonly identifierHash: string; readonly expiresAt: Date }
type Verified = { readonly thumbprint: string; readonly payload: JWTPayload }
type ProofKey = { readonly thumbprint: string; readonly verify: VerificationKey }

/**
 * A client signs every proof with one key and one header. jose looks at both the first time, and verifies that proof; after
 * that its signature and claims are all that is left to look at, and looked at here: a third of what it costs with jose.
 */
const keysByHeader = leastRecentlyUsed<string, ProofKey>(knownKeys)

/**
 * Verifies that a DPoP proof belongs to this request and this access token, and says whose key made it.
 * It does NOT verify that the token is bound to that key, nor that the proof was not used before: see `identifierHash`.
 *
 * @throws {Refusal} `proof_invalid`.
 * @see RFC 9449 section 4.3
 */
export function verifyDpopProof(proof: string, of: ProofOf): VerifiedProof | Promise<VerifiedProof> {
  if (proof.length > proofLimit) refuseProof('the proof is too long')
  const segments = segmentsOf(proof)
  const known = segments && keysByHeader.get(segments.header)
  const verified = known && verifiedClaims(segments, known)
  return verified === undefined
    ? verifyWithJose(proof, of.now)
        .catch(asRefusal)
        .then((found) => provenBy(found, of))
    : provenBy(verified, of)
}

function provenBy({ thumbprint, payload }: Verified, of: ProofOf): VerifiedProof {
  const issuedAt = checkClaims(payload, of)
  return {
    thumbprint,
    identifierHash: hash('sha256', ['dpop', thumbprint, of.method, of.url, payload.jti].join('\0'), 'hex'),
    expiresAt: new Date((issuedAt + proofMaxAgeSeconds + 1) * 1_000),
  }
}

/** Undefined for what jose should look at: an unusual form, or claims about time. @throws {Refusal} when the signature is not good. */
function verifiedClaims(segments: Segments, { thumbprint, verify }: ProofKey): Verified | undefined {
  const payload = verifiedPayload(segments, verify)
  if (payload === 'forged') refuseProof('the proof is not valid')
  const claims = payload && plainObjectIn(payload)
  return claims === undefined || claims['exp'] !== undefined || claims['nbf'] !== undefined ? undefined : { thumbprint, payload: claims }
}

async function verifyWithJose(proof: string, currentDate: Date): Promise<Verified> {
  const { typ, alg, jwk } = decodeProtectedHeader(proof)
  if (typ !== 'dpop+jwt') refuseProof('typ must be dpop+jwt')
  if (!isProofAlgorithm(alg)) refuseProof('the algorithm is not supported')
  if (jwk === undefined || !isPublicKey(jwk)) refuseProof('jwk must be a public key')
  const key = await importJWK(jwk, alg)
  const { payload, protectedHeader } = await jwtVerify(proof, key, { algorithms: [alg], typ: 'dpop+jwt', currentDate })
  const thumbprint = await calculateJwkThumbprint(jwk)
  const verify = verificationKey(KeyObject.from(key as webcrypto.CryptoKey), alg)
  if (verify !== undefined && protectedHeader.crit === undefined)
    keysByHeader.set(proof.slice(0, proof.indexOf('.')), { thumbprint, verify })
  return { thumbprint, payload }
}

const isProofAlgorithm = (alg: unknown): alg is SignatureAlgorithm => proofAlgorithms.some((algorithm) => algorithm === alg)

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

function isPublicKey(jwk: JWK): boolean {
  return typeof jwk === 'object' && ['EC', 'RSA', 'OKP'].includes(jwk.kty ?? '') && !privateMembers.some((member) => member in jwk)
}

function checkClaims(payload: JWTPayload, of: ProofOf): number {
  const { jti, iat } = payload
  if (typeof jti !== 'string' || jti === '' || jti.length > identifierLimit) refuseProof('jti is missing')
  if (payload['htm'] !== of.method) refuseProof('htm is of another request')
  if (!isSameUrl(payload['htu'], of.url)) refuseProof('htu is of another request')
  if (payload['ath'] !== of.tokenHash) refuseProof('ath is of another access token')
  const ageSeconds = of.now.getTime() / 1_000 - (typeof iat === 'number' ? iat : Number.NaN)
  if (!(ageSeconds <= proofMaxAgeSeconds && ageSeconds >= -proofMaxFutureSeconds)) refuseProof('iat is not now')
  return iat as number
}

/** What normalisation leaves as it is: no segment begins with a dot, and nothing is encoded. */
const normalUrl = /^https:\/\/[a-z0-9.:-]+(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$/

/** Compared without query and fragment after normalisation (DPOP-02). */
function isSameUrl(htu: unknown, expected: string): boolean {
  if (htu === expected && normalUrl.test(expected)) return true
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
