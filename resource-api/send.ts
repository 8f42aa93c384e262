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

export function send(ctx: Context, { status, body, headers = {} }: Reply): void {
  ctx.set(hardening)
  ctx.body = body === undefined ? null : JSON.stringify(body)
  if (body !== undefined) ctx.set('content-type', 'application/json; charset=utf-8')
  ctx.set(headers)
  ctx.status = status // After the body: Koa turns the status of a null body into 204.
}
