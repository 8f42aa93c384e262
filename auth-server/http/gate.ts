import { hasTooManyHeaders } from '@bankside/service-kit/tls-server'
import type { Listener } from './endpoints.ts'
import { answerProblem, problems } from './problem-answer.ts'
import { maxBodyBytes, readWhole } from './read-whole-body.ts'
import type { Context, Next } from './request-context.ts'

const form = { mediaTypes: ['application/x-www-form-urlencoded'], atMostBytes: maxBodyBytes }

type Refused = { readonly status: number; readonly error: string; readonly description: string; readonly problem: keyof typeof problems }

const refusals = {
  misdirected: { status: 421, error: 'invalid_request', description: 'this server does not answer under that name', problem: 'notFound' },
  unknown: { status: 404, error: 'not_found', description: 'unknown path', problem: 'notFound' },
  method: { status: 405, error: 'invalid_request', description: 'method not allowed', problem: 'notAllowed' },
  headers: { status: 431, error: 'invalid_request', description: 'the request has too many headers', problem: 'tooLarge' },
  tooLarge: { status: 413, error: 'invalid_request', description: 'the request body is too large', problem: 'tooLarge' },
  mediaType: { status: 415, error: 'invalid_request', description: 'the body is of another media type', problem: 'notAllowed' },
} as const satisfies Record<string, Refused>

/**
 * Lets through what one of the endpoints can be asked. The name and port that the caller used become part of addresses that
 * proofs are compared with (DPoP `htu`), so only this listener's own pass; an address with a host in it never does.
 */
export function gate(listener: Listener, origin: string) {
  const { host } = new URL(origin)
  return (ctx: Context, next: Next): Promise<void> | void => {
    const { endpoint } = ctx.state
    const refused = refusalOf(ctx, host)
    if (refused === undefined) {
      if (endpoint?.answers === 'json') prepareForProgram(ctx)
      if (endpoint?.body === undefined) readWhole(ctx.req)
      return next()
    }
    if (refused.status === 405) ctx.set('Allow', endpoint?.methods.join(', ') ?? '')
    if (refused.status === 413) discardBody(ctx)
    if (endpoint?.answers === 'page' || (endpoint === undefined && listener === 'issuer' && ctx.accepts('json', 'html') === 'html'))
      return answerProblem(ctx, { ...problems[refused.problem], status: refused.status })
    ctx.status = refused.status
    ctx.body = { error: refused.error, error_description: refused.description }
  }
}

function refusalOf(ctx: Context, host: string): Refused | undefined {
  const { endpoint } = ctx.state
  if (hasTooManyHeaders(ctx.req)) return refusals.headers
  const named = ctx.req.headers.host === host || endpoint?.underAnyName === true
  if (!named || !ctx.req.url?.startsWith('/')) return refusals.misdirected
  if (endpoint === undefined) return refusals.unknown
  if (!endpoint.methods.some((method) => method === ctx.method)) return refusals.method
  if (ctx.method !== 'POST' && ctx.method !== 'PUT') return undefined
  const { mediaTypes, atMostBytes } = endpoint.body ?? form
  if ((ctx.request.length ?? 0) > atMostBytes) return refusals.tooLarge
  const { 'content-type': type = '', 'content-length': length } = ctx.req.headers
  return (length !== undefined && mediaTypes.includes(type)) || ctx.is([...mediaTypes]) ? undefined : refusals.mediaType
}

/** Whatever it says that it accepts, it reads JSON; and it keeps nothing (PAR-04, RFC 6749 section 5.1). */
function prepareForProgram(ctx: Context): void {
  const [header, name] = asksForSignedIntrospection(ctx) ? [signedIntrospection, signedIntrospection] : ['application/json', 'json']
  ctx.req.headers.accept = header
  // What would come of reading that.
  ctx.accepts = ((...types: string[]) => types.includes(name) && name) as typeof ctx.accepts
  if (ctx.method === 'POST') ctx.set('Cache-Control', 'no-cache, no-store')
}

/** RFC 9701 section 4: the one answer that has another form when it is asked for. */
const signedIntrospection = 'application/token-introspection+jwt'
const asksForSignedIntrospection = (ctx: Context): boolean =>
  ctx.state.endpoint?.name === 'introspection' && ctx.get('accept').toLowerCase().includes(signedIntrospection)

/** The rest of the body is read and dropped, or the client would see its connection break before it sees the answer. */
function discardBody(ctx: Context): void {
  ctx.set('Connection', 'close')
  ctx.req.resume()
}
