import library, * as libraryObject from 'oidc-provider/lib/actions/authorization/process_request_object.js'
import type { LibraryContext, Middleware } from 'oidc-provider/lib/actions/authorization/request_parameters.js'
import * as jwt from 'oidc-provider/lib/helpers/jwt.js'
import instanceOf from 'oidc-provider/lib/helpers/weak_cache.js'
import { getAuthorizationParams } from './request-parameters.ts'

/** As the library's. Where there is no request object nothing is outside of it, and the parameters need not be gone through. */
export const stripOutsideJarParams: typeof libraryObject.stripOutsideJarParams = (ctx, next) =>
  ctx.oidc.params['request'] ? libraryObject.stripOutsideJarParams(ctx, next) : next()

/**
 * As the library's, for a request that was pushed and is opened by a browser, but for this: what is asked about claims and header gets
 * those that this function read for itself, not copies of them, which cost as much as reading them; what is asked here
 * (request-object.ts) changes nothing. Whatever is not as it should be goes to the library whole.
 */
const processRequestObject: Middleware = async (ctx, next) => {
  const read = pushedRequestIn(ctx)
  if (read === undefined) return library(ctx, next)
  const { client, params, provider } = ctx.oidc
  const { request, payload, header, pushed } = read
  await instanceOf(provider).features.requestObjects.assertJwtClaimsAndHeader(ctx, payload, header, client)
  const { trusted, dpopJkt } = pushed
  if (trusted) ctx.oidc.trusted = Object.keys(request)
  for (const name of Object.keys(params)) params[name] = request[name] || undefined
  if (dpopJkt) {
    params['dpop_jkt'] = dpopJkt
    ctx.oidc.trusted?.push('dpop_jkt')
  }
  return next()
}

export { processRequestObject as default }

/** Only these come with a browser. */
const beside: ReadonlySet<string> = new Set(['client_id', 'request', 'request_uri'])

type Decoded = ReturnType<typeof jwt.decode>
type Pushed = NonNullable<LibraryContext['oidc']['entities']['PushedAuthorizationRequest']>
type Read = Decoded & { readonly request: Record<string, string>; readonly pushed: Pushed }

/** What is in it, if there is nothing about it that the library would refuse, or read in another way. */
function pushedRequestIn(ctx: LibraryContext): Read | undefined {
  const { route, params, provider, client, issuer } = ctx.oidc
  const { PushedAuthorizationRequest: pushed } = ctx.oidc.entities
  const { configuration, features } = instanceOf(provider)
  if (pushed === undefined || route !== 'authorization' || features.encryption.enabled) return undefined
  if (params['client_id'] !== client.clientId || Object.keys(params).some((name) => params[name] !== undefined && !beside.has(name)))
    return undefined
  const decoded = decodedFor(params['request'], { issuer: client.clientId, audience: issuer, clockTolerance: configuration.clockTolerance })
  const request = decoded && parametersIn(decoded.payload, getAuthorizationParams(ctx))
  return request?.['client_id'] === client.clientId && decoded !== undefined ? { ...decoded, request, pushed } : undefined
}

function parametersIn(payload: Decoded['payload'], names: ReadonlySet<string>): Record<string, string> | undefined {
  const request: Record<string, string> = {}
  for (const [name, value] of Object.entries(payload)) {
    if (!names.has(name)) continue
    const isJson = name === 'claims' ? isObject(value) : name === 'authorization_details' && Array.isArray(value)
    if (name === 'request' || name === 'request_uri' || (!isJson && typeof value !== 'string')) return undefined
    request[name] = isJson ? JSON.stringify(value) : (value as string)
  }
  return request
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

type Expected = { readonly issuer: string; readonly audience: string; readonly clockTolerance: number }

function decodedFor(request: unknown, expected: Expected): Decoded | undefined {
  try {
    const decoded = jwt.decode(request as string)
    jwt.assertPayload(decoded.payload, { ...expected, ignoreAzp: true })
    return decoded
  } catch {
    return undefined // The library finds the same, and refuses it in its words.
  }
}
