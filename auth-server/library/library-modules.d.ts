/** Modules of oidc-provider that its types do not describe, as far as they are used here. */

declare module 'oidc-provider/lib/helpers/als.js' {
  import type { AsyncLocalStorage } from 'node:async_hooks'

  const contexts: AsyncLocalStorage<object>

  export { contexts as default }
}

declare module 'oidc-provider/lib/helpers/router.js' {
  export type LibraryContext = { oidc: object }
  export type Middleware = (ctx: LibraryContext, next: () => Promise<void>) => Promise<void>

  class Router {
    get(name: string, path: string, ...middleware: Middleware[]): this
    post(name: string, path: string, ...middleware: Middleware[]): this
    put(name: string, path: string, ...middleware: Middleware[]): this
    delete(name: string, path: string, ...middleware: Middleware[]): this
    options(name: string, path: string, ...middleware: Middleware[]): this
  }

  export { Router as default }
}

declare module 'oidc-provider/lib/helpers/errors.js' {
  export class InvalidGrant extends Error {
    constructor(description: string)
  }
}

declare module 'oidc-provider/lib/helpers/validate_dpop.js' {
  import type { KoaContextWithOIDC, Provider } from 'oidc-provider'

  export type Proof = { readonly jti: string }
  export type RefusalClass = new (description: string) => Error

  export function checkDpopReplay(
    provider: Provider,
    ctx: KoaContextWithOIDC,
    proof: Proof | undefined,
    clientId: string,
    Refusal?: RefusalClass,
  ): Promise<void>
  export function getDpopJwt(provider: Provider, ctx: KoaContextWithOIDC): unknown
  function validateDpop(provider: Provider, ctx: KoaContextWithOIDC, accessToken?: string): Promise<unknown>

  export { validateDpop as default }
}
