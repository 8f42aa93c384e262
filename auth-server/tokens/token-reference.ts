import type { KoaContextWithOIDC, Provider } from 'oidc-provider'

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

type Params = { token?: unknown }

/**
 * The library does not answer about tokens that are JWTs: a resource server is to verify them itself. Ours does, and may still
 * want to know how one stands (RFC 7662 is for both), so for the introspection endpoint a JWT is given another look.
 */
export function introspectSignedTokens({ OIDCContext }: Provider): void {
  const given = new WeakMap<object, Params>()
  Object.defineProperty(OIDCContext.prototype, 'params', {
    configurable: true,
    get(this: object) {
      return given.get(this)
    },
    set(this: KoaContextWithOIDC['oidc'], params: Params) {
      if (this.route === 'introspection' && typeof params.token === 'string' && compact.test(params.token))
        params.token = params.token.replaceAll('.', separator)
      given.set(this, params)
    },
  })
}
