import { isAscii } from 'node:buffer'
import { KeyObject, type webcrypto } from 'node:crypto'
import { fromBase64url } from '@bankside/service-kit/base64url'
import { leastRecentlyUsed } from '@bankside/service-kit/least-recently-used'
import { type VerificationKey, verificationKey } from '@bankside/service-kit/signature-keys'
import { errors, type JWTPayload, jwtVerify } from 'jose'
import type { IssuerKeys } from './issuer-keys.ts'

const tokenAlgorithms = ['ES256', 'PS256'] as const
const requiredClaims = ['exp', 'iat', 'sub', 'client_id', 'jti', 'cnf']
const knownHeaders = 100

export type Issuer = { readonly issuer: string; readonly keys: IssuerKeys }

/**
 * Verifies that the issuer made an access token for this audience, and that its time has not passed. The issuer signs every token of a
 * key with one header. jose looks at it and at all claims the first time; after that a signature and plain claims are looked at here,
 * and what is not plainly good goes to jose, which says what is wrong.
 *
 * @throws {JOSEError}
 */
export function issuerSignature(audience: string, { issuer, keys }: Issuer): (jwt: string, now: Date) => Promise<JWTPayload> {
  const keysByHeader = leastRecentlyUsed<string, VerificationKey>(knownHeaders)
  let generation = -1
  const isPlain = (claims: Partial<JWTPayload>, now: Date) =>
    claims.iss === issuer &&
    claims.aud === audience &&
    claims.nbf === undefined &&
    typeof claims.iat === 'number' &&
    typeof claims.exp === 'number' &&
    claims.exp > now.getTime() / 1_000 &&
    requiredClaims.every((name) => claims[name] !== undefined)
  const verifyWithJose = async (jwt: string, now: Date) => {
    const options = { issuer, audience, algorithms: [...tokenAlgorithms], typ: 'at+jwt', currentDate: now, requiredClaims }
    const { payload, protectedHeader, key } = await jwtVerify(jwt, keys.find, options)
    const algorithm = tokenAlgorithms.find((name) => name === protectedHeader.alg)
    const verify = algorithm && verificationKey(KeyObject.from(key as webcrypto.CryptoKey), algorithm)
    if (verify !== undefined && protectedHeader.crit === undefined) keysByHeader.set(headerOf(jwt), verify)
    return payload
  }
  return async (jwt, now) => {
    if (generation !== keys.generation()) {
      generation = keys.generation()
      keysByHeader.clear()
    }
    const verify = keysByHeader.get(headerOf(jwt))
    const claims = verify && (await verifiedClaims(jwt, verify))
    return claims !== undefined && isPlain(claims, now) ? claims : verifyWithJose(jwt, now)
  }
}

const headerOf = (jwt: string): string => jwt.slice(0, Math.max(jwt.indexOf('.'), 0))

/** Undefined for what has an unusual form. */
async function verifiedClaims(jwt: string, verify: VerificationKey): Promise<JWTPayload | undefined> {
  const [, encodedPayload = '', encodedSignature = '', ...others] = jwt.split('.')
  const payload = fromBase64url(encodedPayload)
  const signature = fromBase64url(encodedSignature)
  if (payload === undefined || signature === undefined || others.length > 0 || !isAscii(payload)) return undefined
  if (!(await verify(Buffer.from(jwt.slice(0, jwt.lastIndexOf('.')), 'latin1'), signature)))
    throw new errors.JWSSignatureVerificationFailed()
  return claimsIn(payload.toString('latin1'))
}

function claimsIn(json: string): JWTPayload | undefined {
  try {
    const claims: unknown = JSON.parse(json)
    return typeof claims === 'object' && claims !== null && !Array.isArray(claims) ? (claims as JWTPayload) : undefined
  } catch {
    return undefined // jose says what is wrong with it.
  }
}
