import { KeyObject, type webcrypto } from 'node:crypto'
import { plainObjectIn, type Segments, segmentsOf, verifiedPayload } from '@bankside/service-kit/compact-jws'
import { type LeastRecentlyUsed, leastRecentlyUsed } from '@bankside/service-kit/least-recently-used'
import { type VerificationKey, verificationKey } from '@bankside/service-kit/signature-keys'
import { errors, type JWTPayload, jwtVerify } from 'jose'
import { type IssuerKeys, whileKeysLast } from './issuer-keys.ts'

const tokenAlgorithms = ['ES256', 'PS256'] as const
const requiredClaims = ['exp', 'iat', 'sub', 'client_id', 'jti', 'cnf']
const knownHeaders = 100

type KeysByHeader = LeastRecentlyUsed<string, VerificationKey>

export type Issuer = { readonly issuer: string; readonly keys: IssuerKeys }

/**
 * Verifies that the issuer made an access token for this audience, and that its time has not passed. The issuer signs every token of a
 * key with one header. jose looks at it and at all claims the first time; after that a signature and plain claims are looked at here,
 * and what is not plainly good goes to jose, which says what is wrong.
 *
 * @throws {JOSEError}
 */
export function issuerSignature(audience: string, { issuer, keys }: Issuer): (jwt: string, now: Date) => Promise<JWTPayload> {
  const known = whileKeysLast<KeysByHeader>(keys, () => leastRecentlyUsed(knownHeaders))
  const isPlain = (claims: Partial<JWTPayload>, now: Date) =>
    claims.iss === issuer &&
    claims.aud === audience &&
    claims.nbf === undefined &&
    typeof claims.iat === 'number' &&
    typeof claims.exp === 'number' &&
    claims.exp > now.getTime() / 1_000 &&
    requiredClaims.every((name) => claims[name] !== undefined)
  const verifyWithJose = async (jwt: string, now: Date, keysByHeader: KeysByHeader) => {
    const options = { issuer, audience, algorithms: [...tokenAlgorithms], typ: 'at+jwt', currentDate: now, requiredClaims }
    const { payload, protectedHeader, key } = await jwtVerify(jwt, keys.find, options)
    const algorithm = tokenAlgorithms.find((name) => name === protectedHeader.alg)
    const verify = algorithm && verificationKey(KeyObject.from(key as webcrypto.CryptoKey), algorithm)
    if (verify !== undefined && protectedHeader.crit === undefined) keysByHeader.set(jwt.slice(0, jwt.indexOf('.')), verify)
    return payload
  }
  return async (jwt, now) => {
    const keysByHeader = known()
    const segments = segmentsOf(jwt)
    const verify = segments && keysByHeader.get(segments.header)
    const claims = verify && verifiedClaims(segments, verify)
    return claims !== undefined && isPlain(claims, now) ? claims : verifyWithJose(jwt, now, keysByHeader)
  }
}

/** Undefined for what has an unusual form. */
function verifiedClaims(segments: Segments, verify: VerificationKey): JWTPayload | undefined {
  const payload = verifiedPayload(segments, verify)
  if (payload === 'forged') throw new errors.JWSSignatureVerificationFailed()
  return payload && plainObjectIn(payload)
}
