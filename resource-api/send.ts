import type { Context } from 'koa'
import type { Reply } from './api.ts'

/** The same headers on every answer, in constants: a header library would cost more than all of the pipeline's own checks. */
export const hardening = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
}

/** Head and body in one go, to Node itself: Koa would look at each header, and then at the body, for what is known here. */
export function send(ctx: Context, interactionId: string, { status, body, headers }: Reply): void {
  ctx.respond = false
  if (!ctx.writable) return
  const text = body === undefined ? undefined : JSON.stringify(body)
  const content = text === undefined ? undefined : { 'content-type': 'application/json; charset=utf-8' }
  const length = status === 204 ? undefined : { 'content-length': text === undefined ? 0 : Buffer.byteLength(text) }
  ctx.res.writeHead(status, { ...hardening, 'x-fapi-interaction-id': interactionId, ...content, ...length, ...headers }).end(text)
}
