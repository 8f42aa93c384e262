import type { Clock } from '@bankside/service-kit/clock'
import { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { type Profile, profileOf } from '../client-policy/profiles.ts'

/** An assertion is remembered until it expires, so it must. */
const maxAssertionSeconds = 3_600
/** RFC 8725 section 3.11: a JWT made for another purpose is no assertion. */
const assertionTypes: ReadonlySet<unknown> = new Set([undefined, 'JWT', 'jwt', 'client-authentication+jwt'])

type Claims = Readonly<Record<string, unknown>>

/**
 * What the client's profile asks of an assertion beyond RFC 7523, after its signature was verified with a registered key and
 * its audience found among the accepted ones. Headers that name keys elsewhere (jku, x5u, jwk) are never followed: keys come
 * from registration only.
 *
 * @throws {InvalidClientAuth} the client is told `invalid_client`, the log is told why.
 */
export const createAssertClientAssertion =
  (clock: Clock, limit: (ctx: KoaContextWithOIDC) => void) => (ctx: KoaContextWithOIDC, claims: Claims, header: Claims, client: Client) => {
    const refusal = problem(profileOf(client), claims, header, clock.now().getTime() / 1000)
    if (refusal !== undefined) throw new errors.InvalidClientAuth(refusal)
    // Before its identifier is used up: the same assertion may come again when there is room.
    limit(ctx)
  }

function problem(profile: Profile, { aud, iat, exp }: Claims, { typ, alg }: Claims, now: number): string | undefined {
  if (profile.assertionAudience === 'issuer' && typeof aud !== 'string') return 'aud must be the issuer, as a string'
  if (!profile.signingAlgorithms.some((allowed) => allowed === alg)) return 'alg is not one of the profile'
  if (!assertionTypes.has(typ)) return 'typ is that of another kind of JWT'
  if (iat !== undefined && (typeof iat !== 'number' || iat > now + profile.clockSkewSeconds)) return 'iat lies in the future'
  if (typeof exp !== 'number' || exp > now + maxAssertionSeconds) return `exp lies more than ${maxAssertionSeconds} s ahead`
  return undefined
}
