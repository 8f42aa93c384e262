import { Unavailable } from '@bankside/service-kit/refusal'
import { errors } from 'oidc-provider'
import type { AuthServerMetrics } from '../metrics.ts'
import { answerProblem, problems } from './problem-answer.ts'
import type { Context, Next } from './request-context.ts'

const defaultRetrySeconds = 2

/** The outermost answer to whatever was thrown: told to nobody, logged whole. */
export function answerErrors(metrics: AuthServerMetrics) {
  return async (ctx: Context, next: Next): Promise<void> => {
    try {
      await next()
    } catch (error) {
      if (error instanceof errors.SessionNotFound) return answerProblem(ctx, problems.ended)
      const unavailable = unavailableIn(error)
      if (unavailable === undefined) recordFault(ctx, error, metrics)
      else setUnavailable(ctx, unavailable)
      answerTo(ctx, unavailable === undefined ? 'fault' : 'unavailable')
    }
  }
}

function answerTo(ctx: Context, problem: 'fault' | 'unavailable'): void {
  answerProblem(ctx, problems[problem])
  if (ctx.state.endpoint?.answers === 'json') ctx.body = { error: problem === 'fault' ? 'server_error' : 'temporarily_unavailable' }
}

/** The error itself, or what an error of the library was made from. */
export function unavailableIn(error: unknown): Unavailable | undefined {
  if (error instanceof Unavailable) return error
  return error instanceof Error && error.cause instanceof Unavailable ? error.cause : undefined
}

export function setUnavailable(ctx: Context, { retryAfterSeconds }: Unavailable): void {
  ctx.set('Retry-After', String(retryAfterSeconds || defaultRetrySeconds))
}

export function recordFault(ctx: Context, error: unknown, metrics: AuthServerMetrics): void {
  metrics.faults.inc({ route: ctx.state.endpoint?.name ?? 'unknown' })
  ctx.state.log.error({ err: error }, 'fault')
}
