import type { KoaContextWithOIDC, Provider } from 'oidc-provider'

type Oidc = KoaContextWithOIDC['oidc']
export type Parameters = Record<string, unknown>

const taken = Symbol('parameters that were looked at')
type Taking = Oidc & { [taken]?: Parameters }

/**
 * Parameters are looked at when the library has taken them from a request, and before it does anything with them. What looks
 * may change them, or throw an error of the protocol.
 */
export function onParameters({ OIDCContext }: Provider, looks: readonly ((oidc: Oidc, params: Parameters) => void)[]): void {
  Object.defineProperty(OIDCContext.prototype, 'params', {
    configurable: true,
    get(this: Taking) {
      return this[taken]
    },
    set(this: Taking, params: Parameters) {
      for (const look of looks) look(this, params)
      this[taken] = params
    },
  })
}
