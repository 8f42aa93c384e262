import {
  type AccessToken,
  type AuthorizationCode,
  type AuthorizationDetail,
  type ClientCredentials,
  errors,
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
 * RAR-03, RAR-04. What the code or refresh token carries, or the part of it that the token request names: each member as it
 * was granted, told apart by type and consent. Nothing can be added.
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
  return asked.map((wanted) => {
    const found = granted.find(
      (detail) => detail.type === wanted.type && Object.keys(wanted).every((name) => same(wanted[name], detail[name])),
    )
    if (found === undefined) throw new errors.InvalidAuthorizationDetails('more than was granted')
    return found
  })
}

const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other)
