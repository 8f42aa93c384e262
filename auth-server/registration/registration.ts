import type { Provider } from 'oidc-provider'
import type { AuthServerDependencies } from '../app.ts'
import type { Context, Next } from '../http/request-context.ts'
import { presentedToken } from './presented-token.ts'
import { isRegistrationRefusal, type RegistrationRefusal, statusOfRefusal } from './registration-refusal.ts'
import { statementRegistration } from './statement-registration.ts'
import { tokenRegistration } from './token-registration.ts'

/** What can be asked of registrations. Each answers by itself, or refuses. */
export type RegistrationDoor = {
  create(ctx: Context): Promise<void>
  read(ctx: Context, clientId: string): Promise<void>
  replace(ctx: Context, clientId: string): Promise<void>
  remove(ctx: Context, clientId: string): Promise<void>
}

const signed = ['application/jwt', 'application/jose']

/**
 * Two doors under one address. Who brings a statement signs its request and comes back with tokens of its own (UK dynamic client
 * registration); who was given an initial access token sends JSON and comes back with a registration access token (RFC 7591,
 * RFC 7592). What comes in is told apart by what it is, and what becomes a client is decided in one place (`admitClient`).
 */
export function registration(provider: Provider, dependencies: AuthServerDependencies) {
  const [byStatement, byToken] = [statementRegistration(provider, dependencies), tokenRegistration(provider, dependencies)]
  return async (ctx: Context, next: Next): Promise<void> => {
    const route = ctx.state.endpoint?.name
    if (route !== 'register' && route !== 'registered_client') return next()
    ctx.set('Cache-Control', 'no-store')
    try {
      const [, , clientId = ''] = ctx.path.split('/')
      await answer(ctx, clientId, isOfStatement(ctx) ? byStatement : byToken)
    } catch (error) {
      if (!isRegistrationRefusal(error)) throw error
      refuse(ctx, error.code, error.message, dependencies)
    }
  }
}

function answer(ctx: Context, clientId: string, door: RegistrationDoor): Promise<void> {
  switch (ctx.method) {
    case 'POST':
      return door.create(ctx)
    case 'PUT':
      return door.replace(ctx, clientId)
    case 'DELETE':
      return door.remove(ctx, clientId)
    default:
      return door.read(ctx, clientId)
  }
}

/** A request with a body by what the body is; one without by its token: ours for clients are JWTs, those for registrations are not. */
function isOfStatement(ctx: Context): boolean {
  if (ctx.method === 'POST' || ctx.method === 'PUT') return ctx.is(signed) !== false
  return presentedToken(ctx).token.split('.').length === 3
}

const descriptionAtMostLength = 500

function refuse(ctx: Context, code: RegistrationRefusal, message: string, { metrics }: AuthServerDependencies): void {
  metrics.protocolErrors.inc({ route: ctx.state.endpoint?.name ?? 'unknown', error: code })
  ctx.state.log.info({ code, description: message.slice(0, descriptionAtMostLength) }, 'refused')
  ctx.status = statusOfRefusal[code]
  if (code === 'invalid_token') ctx.set('WWW-Authenticate', 'Bearer error="invalid_token", DPoP error="invalid_token"')
  if (code === 'temporarily_unavailable') ctx.set('Retry-After', '60')
  ctx.body = { error: code, error_description: message.replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?').slice(0, descriptionAtMostLength) }
}
