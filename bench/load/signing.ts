import { constants, createHash, createPublicKey, type KeyObject, randomUUID, sign } from 'node:crypto'

export type Algorithm = 'ES256' | 'PS256'
export type SigningKey = { readonly algorithm: Algorithm; readonly kid?: string; readonly privateKey: KeyObject }

/** Signed synchronously: proofs are made before the clock of a round starts. */
export function signJwt(key: SigningKey, header: object, claims: object): string {
  const input = `${encode({ alg: key.algorithm, ...(key.kid === undefined ? {} : { kid: key.kid }), ...header })}.${encode(claims)}`
  const options =
    key.algorithm === 'ES256'
      ? { key: key.privateKey, dsaEncoding: 'ieee-p1363' as const }
      : { key: key.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  return `${input}.${sign('sha256', Buffer.from(input), options).toString('base64url')}`
}

/** @see RFC 7523 section 3. The audience is the issuer as one string (FAPI 2.0). */
export function clientAssertion(key: SigningKey, clientId: string, issuer: string): string {
  const now = seconds()
  return signJwt(key, { typ: 'JWT' }, { iss: clientId, sub: clientId, aud: issuer, jti: randomUUID(), iat: now, exp: now + 60 })
}

export type ProofKey = SigningKey & { readonly jwk: Readonly<Record<string, unknown>>; readonly thumbprint: string }

export function proofKey(privateKey: KeyObject): ProofKey {
  const { kty, crv, x, y } = createPublicKey(privateKey).export({ format: 'jwk' })
  const thumbprint = sha256(JSON.stringify({ crv, kty, x, y }))
  return { algorithm: 'ES256', privateKey, jwk: { kty, crv, x, y }, thumbprint }
}

/** @see RFC 9449 section 4.2 */
export function dpopProof(key: ProofKey, htm: string, htu: string, accessToken?: string): string {
  const ath = accessToken === undefined ? {} : { ath: sha256(accessToken) }
  return signJwt(key, { typ: 'dpop+jwt', jwk: key.jwk }, { jti: randomUUID(), htm, htu, iat: seconds(), ...ath })
}

export const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('base64url')
export const seconds = () => Math.floor(Date.now() / 1000)
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

export function decodeClaims(jwt: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
}
