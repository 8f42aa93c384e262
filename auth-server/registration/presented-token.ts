import { hash } from 'node:crypto'
import { isTokenRevoked, revokeToken } from '@bankside/bank/access/revoke-token'
import type { Clock } from '@bankside/service-kit/clock'
import { type Database, outsideTransaction } from '@bankside/service-kit/postgres'
import { calculateJwkThumbprint, createLocalJWKSet, EmbeddedJWK, errors, type JWTPayload, jwtVerify } from 'jose'
import type { Config } from '../config.ts'
import type { Context } from '../http/request-context.ts'
import type { UseIdentifierOf } from '../storage/use-identifier.ts'
import { refuseRegistration } from './registration-refusal.ts'

/** A client's own access token, verified as a resource server would. */
export type PresentedToken = { readonly clientId: string; readonly jti: string; readonly expiresAt: Date }

export type TokenTrust = {
  readonly config: Config
  readonly database: Database
  readonly clock: Clock
  readonly useIdentifier: UseIdentifierOf
}

const tokenAtMostLength = 4_096
const proofMaxAgeSeconds = 60
const proofMaxFutureSeconds = 10

/** The text after `Bearer` or `DPoP`; whether it is one that this server made is not asked. */
export function presentedToken(ctx: Context): { scheme: 'bearer' | 'dpop'; token: string } {
  const [, scheme, token] = /^(bearer|dpop) +([A-Za-z0-9._~+/-]+=*)$/i.exec(ctx.get('authorization')) ?? []
  if (scheme === undefined || token === undefined || token.length > tokenAtMostLength)
    return refuseRegistration('invalid_token', 'an access token is needed')
  return { scheme: scheme.toLowerCase() as 'bearer' | 'dpop', token }
}

/**
 * Verifies that a client-credentials token is ours, current, not taken back, and presented by its holder: over the certificate
 * or with the key that it is bound to. It does NOT ask whether its client is still one.
 *
 * @throws {Refusal} `invalid_token`
 */
export async function verifyClientToken(ctx: Context, thumbprint: string, trust: TokenTrust): Promise<PresentedToken> {
  const { scheme, token } = presentedToken(ctx)
  const now = trust.clock.now()
  const claims = await verifiedClaims(token, trust.config, now)
  const { client_id, jti = '', exp = 0, cnf, grant_id } = claims
  if (typeof client_id !== 'string' || grant_id !== undefined || claims.sub !== client_id)
    return refuseRegistration('invalid_token', "the token must be the client's own")
  const { jkt, 'x5t#S256': x5t } = (cnf ?? {}) as Record<string, unknown>
  if ((jkt !== undefined) !== (scheme === 'dpop')) refuseRegistration('invalid_token', 'the scheme does not fit the token')
  if (jkt === undefined && x5t !== thumbprint) refuseRegistration('invalid_token', 'the token is bound to another certificate')
  if (jkt !== undefined) await assertProof(ctx, token, String(jkt), trust)
  if (await outsideTransaction(trust.database, (tx) => isTokenRevoked(tx, jti)))
    refuseRegistration('invalid_token', 'the token was revoked')
  return { clientId: client_id, jti, expiresAt: new Date(exp * 1000) }
}

/** UKDCR-15: who asks after another's registration loses the token it asked with. */
export const takeBack = ({ jti, expiresAt }: PresentedToken, database: Database): Promise<void> =>
  outsideTransaction(database, (tx) => revokeToken(tx, { jti, expiresAt }))

async function verifiedClaims(
  token: string,
  { ISSUER: issuer, UK_AUDIENCE: audience, SIGNING_KEYS }: Config,
  now: Date,
): Promise<JWTPayload> {
  const options = { issuer, audience, typ: 'at+jwt', algorithms: ['ES256', 'PS256'], currentDate: now }
  try {
    const { payload } = await jwtVerify(token, createLocalJWKSet(publicKeysOf(SIGNING_KEYS)), {
      ...options,
      requiredClaims: ['exp', 'jti', 'client_id', 'cnf'],
    })
    return payload
  } catch (error) {
    if (error instanceof errors.JOSEError) refuseRegistration('invalid_token', 'the token is not valid', { cause: error })
    throw error
  }
}

const publicKeysOf = ({ keys }: Config['SIGNING_KEYS']): Parameters<typeof createLocalJWKSet>[0] => ({
  keys: keys.map((key) => {
    const { kty, crv, x, y, n, e, kid, alg, use } = key as Record<string, string>
    return JSON.parse(JSON.stringify({ kty, crv, x, y, n, e, kid, alg, use }))
  }),
})

/** RFC 9449 section 4.3. */
async function assertProof(ctx: Context, token: string, thumbprint: string, { config, clock, useIdentifier }: TokenTrust): Promise<void> {
  const now = clock.now()
  const options = { typ: 'dpop+jwt', algorithms: ['ES256', 'PS256', 'EdDSA', 'Ed25519'], currentDate: now }
  try {
    const { payload, protectedHeader } = await jwtVerify(ctx.get('dpop'), EmbeddedJWK, options)
    const { htm, htu, ath, jti, iat } = payload as JWTPayload & Record<string, unknown>
    const ageSeconds = now.getTime() / 1000 - (typeof iat === 'number' ? iat : Number.NaN)
    const fits =
      htm === ctx.method &&
      htu === config.MTLS_ISSUER + ctx.path &&
      ath === hash('sha256', token, 'base64url') &&
      typeof jti === 'string' &&
      ageSeconds <= proofMaxAgeSeconds &&
      ageSeconds >= -proofMaxFutureSeconds &&
      (await calculateJwkThumbprint(protectedHeader.jwk ?? {})) === thumbprint
    if (fits && (await useIdentifier(`dpop ${thumbprint}`, jti, now.getTime() / 1000 + proofMaxAgeSeconds))) return
  } catch (error) {
    // Importing a malformed key throws more than JOSE errors.
    if (!(error instanceof errors.JOSEError || error instanceof TypeError || error instanceof DOMException)) throw error
  }
  refuseRegistration('invalid_token', 'the DPoP proof is not one for this request')
}
