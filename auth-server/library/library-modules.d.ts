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
    routes(): Middleware
  }

  export { Router as default }
}

declare module 'oidc-provider/lib/helpers/configuration_result.js' {
  export function extraTokenClaims<Claims>(claims: Claims): Claims
}

declare module 'oidc-provider/lib/helpers/epoch_time.js' {
  function epochTime(): number

  export { epochTime as default }
}

declare module 'oidc-provider/lib/models/formats/opaque.js' {
  export type Model = { readonly name: string; readonly IN_PAYLOAD: readonly string[] }
  export type Token = {
    readonly constructor: Model
    readonly kind: string
    readonly jti?: string
    readonly iat?: number
    readonly exp?: number
    readonly expiration: number
    readonly [member: string]: unknown
  }

  export function generateTokenId(provider: object, token: Token): string
  export type Kept = { readonly value: string | undefined; readonly payload: Record<string, unknown> }
  export function getValueAndPayload(provider: object, token: Token): Promise<Kept>
  export function verify(provider: object, stored: object, options?: { readonly ignoreExpiration?: boolean }): Promise<object>
}

declare module 'oidc-provider/lib/helpers/errors.js' {
  export class InvalidGrant extends Error {
    constructor(description: string)
  }
  export class InvalidClientAuth extends Error {
    constructor(reason: string | { readonly cause: unknown })
  }
  export class InvalidRequest extends Error {
    constructor(description: string, status?: number, options?: { readonly cause: unknown })
  }
}

declare module 'oidc-provider/lib/helpers/jwt.js' {
  import type { JWTPayload } from 'jose'

  export type Decoded = { readonly header: Readonly<Record<string, unknown>>; readonly payload: JWTPayload }
  export function decode(jwt: string): Decoded
  export function assertPayload(
    payload: JWTPayload,
    options: { readonly issuer: string; readonly audience: string; readonly clockTolerance: number; readonly ignoreAzp: boolean },
  ): void
  export function verify(
    jwt: string,
    keys: object,
    options: { readonly clockTolerance: number; readonly ignoreAzp: boolean },
  ): Promise<unknown>
}

declare module 'oidc-provider/lib/helpers/_/snake_case.js' {
  function snakeCase(name?: string): string

  export { snakeCase as default }
}

declare module 'oidc-provider/lib/helpers/redirect_uri.js' {
  function redirectUri(uri: string, payload: Record<string, string>, mode?: string): string

  export { redirectUri as default }
}

declare module 'oidc-provider/lib/helpers/weak_cache.js' {
  type Configuration = {
    readonly clockTolerance: number
    readonly clientAuthSigningAlgValues: readonly string[]
    extraTokenClaims(ctx: object | undefined, token: object): Promise<unknown> | unknown
    readonly assertJwtClientAuthClaimsAndHeader: (ctx: object, claims: object, header: object, client: object) => Promise<void> | void
  }
  type Features = {
    readonly encryption: { readonly enabled: boolean }
    readonly requestObjects: {
      readonly assertJwtClaimsAndHeader: (ctx: object, claims: object, header: object, client: object) => Promise<void> | void
    }
  }
  function instance(provider: object): { readonly configuration: Configuration; readonly features: Features }

  export { instance as default }
}

declare module 'oidc-provider/lib/helpers/keystore.js' {
  class KeyStore {
    constructor(keys: readonly object[])
  }

  export { KeyStore as default }
}

declare module 'oidc-provider/lib/helpers/params.js' {
  class Params {
    constructor(names: ReadonlySet<string>, values: Record<string, unknown>)
    readonly [name: string]: unknown
  }

  export { Params as default }
}

declare module 'oidc-provider/lib/models/payload.js' {
  function pick(model: object, input: unknown): Record<string, unknown>

  export { pick as default }
}

declare module 'oidc-provider/lib/shared/cors.js' {
  import type { KoaContextWithOIDC } from 'oidc-provider'

  export type Middleware = (ctx: KoaContextWithOIDC, next: () => Promise<void>) => Promise<void>
  export type CorsOptions = {
    readonly allowMethods: string
    readonly clientBased?: boolean
    readonly maxAge?: number
    readonly exposeHeaders?: string | ((ctx: KoaContextWithOIDC) => readonly string[])
  }
  function cors(options: CorsOptions): Middleware

  export { cors as default }
}

declare module 'oidc-provider/lib/shared/selective_body.js' {
  import type { KoaContextWithOIDC } from 'oidc-provider'

  export type Middleware = (ctx: KoaContextWithOIDC, next: () => Promise<void>) => Promise<void>
  export const json: Middleware
  export const urlencoded: Middleware
}

declare module 'oidc-provider/lib/shared/assemble_params.js' {
  import type { LibraryContext } from 'oidc-provider/lib/actions/authorization/request_parameters.js'

  function assembleParams(names: ReadonlySet<string>, ctx: LibraryContext, next: () => unknown): unknown

  export { assembleParams as default }
}

declare module 'oidc-provider/lib/shared/reject_dupes.js' {
  export type Dupes = { readonly except?: ReadonlySet<string>; readonly only?: ReadonlySet<string> }
  export type LibraryContext = { readonly oidc: { readonly params: Record<string, unknown> } }
  function rejectDupes(which: Dupes | undefined, ctx: LibraryContext, next: () => unknown): unknown

  export { rejectDupes as default }
}

declare module 'oidc-provider/lib/shared/jwt_client_auth.js' {
  export type KeyStore = object
  export type LibraryContext = {
    readonly oidc: {
      readonly client: { readonly clientId: string; readonly clientAuthSigningAlg?: string }
      readonly provider: { readonly ReplayDetection: { unique(issuer: string, identifier: string, expiresAt: number): Promise<boolean> } }
      readonly params: Record<string, unknown>
      clientJwtAuthExpectedAudience(): ReadonlySet<unknown>
    }
  }
  function jwtClientAuth(ctx: LibraryContext, keys: KeyStore, isAllowed: (alg: string) => boolean): Promise<void>

  export { jwtClientAuth as default }
}

declare module 'oidc-provider/lib/shared/client_auth.js' {
  export type LibraryContext = { readonly oidc: { readonly provider: object; readonly params: Record<string, unknown> } }
  export type Middleware = (ctx: LibraryContext, next: () => unknown) => unknown
  const clientAuth: Middleware[]

  export function getClientAuthParams(ctx: LibraryContext): ReadonlySet<string>
  export { clientAuth as default }
}

declare module 'oidc-provider/lib/actions/authorization/request_parameters.js' {
  export type LibraryContext = {
    readonly method: string
    readonly oidc: {
      readonly provider: object
      readonly issuer: string
      readonly route: string
      readonly client: { readonly clientId: string }
      readonly entities: { readonly PushedAuthorizationRequest?: { readonly trusted?: boolean; readonly dpopJkt?: string } }
      params: Record<string, unknown>
      trusted?: string[]
    }
  }
  export type Middleware = (ctx: LibraryContext, next: () => unknown) => unknown
  export function getAuthorizationParams(ctx: LibraryContext): ReadonlySet<string>
  export const assembleAuthorizationParams: Middleware
  export const rejectAuthorizationDupes: Middleware
  export const rejectUnsupported: Middleware
  export const rejectRegistration: Middleware
  export const assignDefaults: Middleware
  export const checkPrompt: Middleware
  export const checkMaxAge: Middleware
  export const checkExtraParams: Middleware
}

declare module 'oidc-provider/lib/actions/authorization/process_request_object.js' {
  import type { Middleware } from 'oidc-provider/lib/actions/authorization/request_parameters.js'

  const processRequestObject: Middleware

  export const stripOutsideJarParams: Middleware
  export { processRequestObject as default }
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

declare module 'oidc-provider/lib/actions/introspection.js' {
  const stack: import('oidc-provider/lib/helpers/router.js').Middleware[]

  export { stack as default }
}

declare module 'oidc-provider/lib/actions/revocation.js' {
  const stack: import('oidc-provider/lib/helpers/router.js').Middleware[]

  export { stack as default }
}

declare module 'oidc-provider/lib/actions/token.js' {
  const stack: import('oidc-provider/lib/helpers/router.js').Middleware[]

  export { stack as default }
}

declare module 'oidc-provider/lib/actions/userinfo.js' {
  const stack: import('oidc-provider/lib/helpers/router.js').Middleware[]

  export { stack as default }
}

declare module 'oidc-provider/lib/actions/authorization/index.js' {
  function getAuthorization(endpoint: string): import('oidc-provider/lib/helpers/router.js').Middleware[]

  export { getAuthorization as default }
}
