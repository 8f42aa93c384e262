import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Parameters } from '../requests/request-parameters.ts'

/** The three parts of a compact JWS, joined by what none of them can hold and no JWT has. */
const separator = '~'
const tokenLimit = 8_192

const compact = /^[\w-]+\.[\w-]+\.[\w-]+$/
const reference = /^[\w-]+~[\w-]+~[\w-]+$/

/** Whether a token came to be asked about, not to be used. */
export const isReferredTo = (value: unknown): value is string => typeof value === 'string' && reference.test(value)

/** The token itself, whichever way it came. */
export function signedTokenOf(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > tokenLimit) return undefined
  if (isReferredTo(value)) return value.replaceAll(separator, '.')
  return compact.test(value) ? value : undefined
}

/**
 * The library neither answers about tokens that are JWTs nor revokes them: a resource server is to verify them itself. Ours
 * reads with each call how one stands, so it may be asked about (RFC 7662 is for both) and taken back (RFC 7009): for these
 * two endpoints a JWT is given another look.
 */
export function referToSignedToken({ route }: KoaContextWithOIDC['oidc'], params: Parameters): void {
  const { token } = params
  const isAboutToken = route === 'introspection' || route === 'revocation'
  if (isAboutToken && typeof token === 'string' && compact.test(token)) params['token'] = token.replaceAll('.', separator)
}
