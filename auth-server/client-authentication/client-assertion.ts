import type { Clock } from '@bankside/service-kit/clock'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'

/** FAPI2-AS-13: eight seconds ahead must pass, more than sixty must not. */
export const clockToleranceSeconds = 15
/** An assertion is remembered until it expires, so it must. */
const maxAssertionSeconds = 3_600
/** RFC 8725 section 3.11: a JWT made for another purpose is no assertion. */
const assertionTypes: ReadonlySet<unknown> = new Set([undefined, 'JWT', 'jwt', 'client-authentication+jwt'])

type Claims = Readonly<Record<string, unknown>>

/**
 * What FAPI 2.0 asks of a client assertion beyond RFC 7523, after its signature was verified with a registered key. Headers
 * that name keys elsewhere (jku, x5u, jwk) are never followed: keys come from registration only.
 *
 * @throws {InvalidClientAuth} the client is told `invalid_client`, the log is told why.
 */
export const createAssertClientAssertion = (clock: Clock) => (ctx: KoaContextWithOIDC, claims: Claims, header: Claims) => {
  const refusal = problem(ctx.oidc.issuer, claims, header, clock.now().getTime() / 1000)
  if (refusal !== undefined) throw new errors.InvalidClientAuth(refusal)
}

function problem(issuer: string, { aud, iat, exp }: Claims, { typ }: Claims, now: number): string | undefined {
  if (aud !== issuer) return 'aud must be the issuer, as a string'
  if (!assertionTypes.has(typ)) return 'typ is that of another kind of JWT'
  if (iat !== undefined && (typeof iat !== 'number' || iat > now + clockToleranceSeconds)) return 'iat lies in the future'
  if (typeof exp !== 'number' || exp > now + maxAssertionSeconds) return `exp lies more than ${maxAssertionSeconds} s ahead`
  return undefined
}
