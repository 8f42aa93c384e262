import type { Clock } from '@bankside/service-kit/clock'
import type { Log } from '@bankside/service-kit/log'
import type { AuthServerMetrics } from '../metrics.ts'
import { findEndpoint, type Listener } from './endpoints.ts'
import { interactionIdOf } from './interaction-id.ts'
import type { Context, Next } from './request-context.ts'

/** One line and one observation per request. Addresses, queries and bodies are never written: they hold codes and request URIs. */
export function requestLog({ log, clock, metrics, listener }: { log: Log; clock: Clock; metrics: AuthServerMetrics; listener: Listener }) {
  return async (ctx: Context, next: Next): Promise<void> => {
    ctx.state.requestId = interactionIdOf(ctx.req)
    ctx.state.endpoint = findEndpoint(ctx.path, listener)
    ctx.state.log = log.child({ request_id: ctx.state.requestId, listener })
    ctx.set('x-fapi-interaction-id', ctx.state.requestId)
    const begun = clock.now()
    try {
      await next()
    } finally {
      const seconds = (clock.now().getTime() - begun.getTime()) / 1000
      const route = ctx.state.endpoint?.name ?? 'unknown'
      metrics.requests.observe({ listener, route, method: ctx.method, status: String(ctx.status) }, seconds)
      ctx.state.log.info({ route, method: ctx.method, status: ctx.status, seconds }, 'request')
    }
  }
}
