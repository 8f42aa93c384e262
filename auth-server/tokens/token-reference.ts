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
 * The library does not answer about tokens that are JWTs: a resource server is to verify them itself. Ours does, and may still
 * want to know how one stands (RFC 7662 is for both), so for the introspection endpoint a JWT is given another look.
 */
export function referToSignedToken({ route }: KoaContextWithOIDC['oidc'], params: Parameters): void {
  const { token } = params
  if (route === 'introspection' && typeof token === 'string' && compact.test(token)) params['token'] = token.replaceAll('.', separator)
}
