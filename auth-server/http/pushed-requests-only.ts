import { routes } from '../discovery.ts'
import type { Context, Next } from './request-context.ts'

/**
 * Of an authorization request the browser brings two parameters; the rest was pushed (FAPI2-AZ-03). Whatever else is in the
 * address is dropped before anybody reads it, so nothing there can change the request or steer where an error goes.
 */
export async function pushedRequestsOnly(ctx: Context, next: Next): Promise<void> {
  if (ctx.path === routes.authorization) {
    const { client_id, request_uri } = ctx.query
    ctx.query = { ...(client_id !== undefined && { client_id }), ...(request_uri !== undefined && { request_uri }) }
  }
  await next()
}
