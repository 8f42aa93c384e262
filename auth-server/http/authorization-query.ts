import { routes } from '../discovery.ts'
import type { Context, Next } from './request-context.ts'

const kept: readonly string[] = ['client_id', 'request_uri', 'request']

/**
 * Of an authorization request the browser brings who asks, and either where the request was pushed or the request itself, signed
 * (FAPI2-AZ-03, FAPI1A-04); whose it may be is read from the client's profile. Whatever else is in the address is dropped before
 * anybody reads it, so nothing there can change the request or steer where an error goes.
 */
export async function authorizationQuery(ctx: Context, next: Next): Promise<void> {
  // To write the address anew costs more than to read it, and hardly any has more in it.
  if (ctx.path === routes.authorization && Object.keys(ctx.query).some((name) => !kept.includes(name)))
    ctx.query = Object.fromEntries(kept.flatMap((name) => (ctx.query[name] === undefined ? [] : [[name, ctx.query[name]]])))
  await next()
}
