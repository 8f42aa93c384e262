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
