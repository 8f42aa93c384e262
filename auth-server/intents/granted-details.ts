import {
  type AccessToken,
  type AuthorizationCode,
  type AuthorizationDetail,
  type ClientCredentials,
  errors,
  type JWTStructured,
  type KoaContextWithOIDC,
  type RefreshToken,
} from 'oidc-provider'
import { detailsOf } from './intent.ts'

type Details = readonly AuthorizationDetail[] | undefined

/** The grant remembers what was agreed to by whichever door it came; only who asked with details is told details. */
export function detailsForCode(ctx: KoaContextWithOIDC): Details {
  return ctx.oidc.params?.['authorization_details'] === undefined ? undefined : ctx.oidc.entities.Grant?.rar
}

/**
 * RAR-03, RAR-04. What the code or refresh token carries, or the part of it that the token request names. Nothing can be added.
 * A client has one API, and a token one audience, so what was granted is all of that API (RAR-05).
 *
 * @throws {InvalidAuthorizationDetails}
 */
export function detailsForAccessToken(
  ctx: KoaContextWithOIDC,
  _token: AccessToken | ClientCredentials,
  source: { readonly rar?: unknown } | undefined,
): Details {
  const granted = (source as AuthorizationCode | RefreshToken | undefined)?.rar ?? []
  const asked = detailsOf(ctx.oidc.params ?? {})
  if (asked.length === 0) return granted
  // An API that reads several would put the permissions of one and the accounts of another together.
  if (asked.length > 1) throw new errors.InvalidAuthorizationDetails('one authorization detail at a time')
  return asked.map((wanted) => {
    for (const detail of granted) {
      const narrowed = detail.type === wanted.type ? narrowedTo(detail, wanted) : undefined
      if (narrowed !== undefined) return narrowed
    }
    throw new errors.InvalidAuthorizationDetails('more than was granted')
  })
}

/** The lists of a detail that a token can hold a part of. Of everything else it has what was granted. */
const divisible: ReadonlySet<string> = new Set(['permissions', 'accounts'])
/** A token with more would not fit into a header that every server on its way takes. */
const namedAccountsLimit = 20

/** Undefined when it is not within what was granted. */
function narrowedTo(granted: AuthorizationDetail, wanted: AuthorizationDetail): AuthorizationDetail | undefined {
  const narrowed: AuthorizationDetail = { ...granted }
  for (const [name, value] of Object.entries(wanted)) {
    const whole = Object.hasOwn(granted, name) ? granted[name] : undefined
    if (divisible.has(name) && isPartOf(value, whole)) narrowed[name] = value
    else if (!same(value, whole)) return undefined
  }
  if (isList(narrowed['accounts']) && narrowed['accounts'].length > namedAccountsLimit && !same(narrowed['accounts'], granted['accounts']))
    throw new errors.InvalidAuthorizationDetails(`a token can be for some accounts if they are at most ${namedAccountsLimit}`)
  return narrowed
}

const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value)

function isPartOf(part: unknown, whole: unknown): boolean {
  if (!isList(part) || !isList(whole) || part.length === 0 || part.length > whole.length) return false
  return part.every((member) => whole.some((other) => same(member, other)))
}

const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other)

/**
 * The accounts that the customer chose stand in the token response, and for the API in the consent: where a token is for all of
 * them it does not name them, or a customer with many would have one that no header takes.
 */
export function leaveOutAccounts(ctx: KoaContextWithOIDC | undefined, _token: unknown, { payload }: JWTStructured): void {
  const granted = ctx?.oidc.entities.Grant?.rar
  const details = payload['authorization_details']
  if (granted === undefined || !isList(details)) return
  payload['authorization_details'] = (details as AuthorizationDetail[]).map((detail) => {
    const { accounts, ...rest } = detail
    return granted.some((whole) => whole.type === detail.type && same(whole['accounts'], accounts)) ? rest : detail
  })
}
