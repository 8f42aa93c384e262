import type { Clock } from '@bankside/service-kit/clock'
import { infoLines, type Log } from '@bankside/service-kit/log'
import type { AuthServerMetrics } from '../metrics.ts'
import { type Endpoint, findEndpoint, type Listener } from './endpoints.ts'
import { interactionIdOf } from './interaction-id.ts'
import type { Context, Next, State } from './request-context.ts'

/** Few requests have more to say than their one line: a log of its own is made for one that does. */
class RequestState implements State {
  readonly requestId: string
  readonly endpoint: Endpoint | undefined
  readonly #log: Log
  readonly #listener: Listener
  #child: Log | undefined

  constructor({ requestId, endpoint, log, listener }: Pick<State, 'requestId' | 'endpoint' | 'log'> & { readonly listener: Listener }) {
    this.requestId = requestId
    this.endpoint = endpoint
    this.#log = log
    this.#listener = listener
  }

  get log(): Log {
    this.#child ??= this.#log.child({ request_id: this.requestId, listener: this.#listener })
    return this.#child
  }
}

type Observed = ReturnType<AuthServerMetrics['requests']['labels']>
type Logging = { readonly log: Log; readonly clock: Clock; readonly metrics: AuthServerMetrics; readonly listener: Listener }

/** One line and one observation per request. Addresses, queries and bodies are never written: they hold codes and request URIs. */
export function requestLog({ log, clock, metrics, listener }: Logging) {
  const observed = new Map<string, Observed>()
  const line = infoLines(log, 'request')
  const observe = (route: string, method: string, status: string, seconds: number) => {
    const name = `${route} ${method} ${status}`
    const found = observed.get(name) ?? metrics.requests.labels({ listener, route, method, status })
    observed.set(name, found)
    found.observe(seconds)
  }
  return async (ctx: Context, next: Next): Promise<void> => {
    const requestId = interactionIdOf(ctx.req)
    ctx.state = new RequestState({ requestId, endpoint: findEndpoint(ctx.path, listener), log, listener })
    ctx.set('x-fapi-interaction-id', requestId)
    const begun = clock.now()
    try {
      await next()
    } finally {
      const seconds = (clock.now().getTime() - begun.getTime()) / 1000
      const route = ctx.state.endpoint?.name ?? 'unknown'
      observe(route, ctx.method, String(ctx.status), seconds)
      // Names of ours, an identifier in its one form, and a method that Node knows: nothing in them that JSON writes in another way.
      line(
        `,"request_id":"${requestId}","listener":"${listener}","route":"${route}","method":"${ctx.method}","status":${ctx.status},"seconds":${seconds}`,
      )
    }
  }
}
