import type { Clock } from '@bankside/service-kit/clock'
import { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { type Profile, profileOf } from '../client-policy/profiles.ts'

/** FAPI2-MS-03, FAPI1A-06: how old a request object may be, counted from `nbf`. */
const oldestSeconds = 3_600
/** FAPI2-MS-04, FAPI1A-06: how long it may be good for. */
const longestSeconds = 3_600
/** JAR-04. Media types are compared without case and may come with their tree (RFC 7515 section 4.1.9). */
const requestTypes: ReadonlySet<string> = new Set(['oauth-authz-req+jwt', 'jwt'])

type Claims = Readonly<Record<string, unknown>>

/**
 * What the client's profile asks of a request object beyond RFC 9101, before its signature is verified. That it comes from
 * this client, is made out to this issuer and was not altered is the library's to find out. A pushed one was asked then.
 *
 * @throws {InvalidRequestObject}
 */
export const createAssertRequestObject = (clock: Clock) => (ctx: KoaContextWithOIDC, claims: Claims, header: Claims, client: Client) => {
  if ('PushedAuthorizationRequest' in ctx.oidc.entities) return
  const profile = profileOf(client)
  if (profile.requestObjects === 'refused') throw new errors.RequestNotSupported()
  const refusal = problem({ profile, clientId: client.clientId, now: clock.now().getTime() / 1000 }, claims, header)
  if (refusal !== undefined) throw new errors.InvalidRequestObject(refusal)
}

type Expected = { readonly profile: Profile; readonly clientId: string; readonly now: number }

function problem({ profile, clientId, now }: Expected, claims: Claims, { typ, alg }: Claims): string | undefined {
  const { client_id, sub, iat, nbf, exp, response_type } = claims
  if (!profile.signingAlgorithms.some((allowed) => allowed === alg)) return 'alg is not one of the profile'
  if (!isRequestType(typ)) return 'typ is that of another kind of JWT'
  // Without one, a JWT of another purpose could pass for a request.
  if (profile.responseTypes.length > 0 && (typeof response_type !== 'string' || response_type === ''))
    return 'response_type must be in the request object'
  if (profile.responseTypes.length > 0 && client_id !== clientId) return 'client_id must be in the request object'
  if (sub === clientId) return 'sub must not be the client: it would pass for a client assertion'
  if (typeof nbf !== 'number' || nbf < now - oldestSeconds) return `nbf must be at most ${oldestSeconds} s ago`
  if (typeof exp !== 'number' || exp <= nbf || exp > nbf + longestSeconds) return `exp must be at most ${longestSeconds} s after nbf`
  const latest = now + profile.clockSkewSeconds
  return nbf > latest || (typeof iat === 'number' && iat > latest) ? 'it is dated in the future' : undefined
}

const isRequestType = (typ: unknown): boolean =>
  typ === undefined || (typeof typ === 'string' && requestTypes.has(typ.toLowerCase().replace(/^application\//, '')))
