import type { Endpoint } from './endpoints.ts'
import { endpoints } from './endpoints.ts'
import type { Context, Next } from './request-context.ts'

export type Middleware = (ctx: Context, next: Next) => Promise<void>
type Layer = readonly [isFor: (endpoint: Endpoint) => boolean, middleware: Middleware]

/** @throws {Error} for a name that no endpoint has. */
export function named(...names: readonly string[]): (endpoint: Endpoint) => boolean {
  const unknown = names.find((name) => !endpoints.some((endpoint) => endpoint.name === name))
  if (unknown !== undefined) throw new Error(`no endpoint is called ${unknown}`)
  return ({ name }) => names.includes(name)
}

/**
 * What a request goes through, put together once for each endpoint: it does not come by what is for others. To be asked once
 * the gate knows the endpoint.
 */
export function byEndpoint(layers: readonly Layer[]): Middleware {
  const ways = new Map(
    endpoints.map((endpoint) => [
      endpoint.name,
      oneAfterAnother(layers.filter(([isFor]) => isFor(endpoint)).map(([, middleware]) => middleware)),
    ]),
  )
  return (ctx, next) => ways.get(ctx.state.endpoint?.name ?? '')?.(ctx, next) ?? next()
}

const oneAfterAnother = (middlewares: readonly Middleware[]): Middleware =>
  middlewares.reduceRight<Middleware>(
    (inner, middleware) => (ctx, next) => middleware(ctx, () => inner(ctx, next)),
    (_ctx, next) => next(),
  )
