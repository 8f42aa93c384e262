import type { KoaContextWithOIDC, Provider } from 'oidc-provider'

type Oidc = KoaContextWithOIDC['oidc']
export type Parameters = Record<string, unknown>

/**
 * Parameters are looked at when the library has taken them from a request, and before it does anything with them. What looks
 * may change them, or throw an error of the protocol.
 */
export function onParameters({ OIDCContext }: Provider, looks: readonly ((oidc: Oidc, params: Parameters) => void)[]): void {
  const taken = new WeakMap<object, Parameters>()
  Object.defineProperty(OIDCContext.prototype, 'params', {
    configurable: true,
    get(this: object) {
      return taken.get(this)
    },
    set(this: Oidc, params: Parameters) {
      for (const look of looks) look(this, params)
      taken.set(this, params)
    },
  })
}
