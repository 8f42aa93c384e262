import type { IncomingMessage } from 'node:http'
import { AccessRefusal } from '@bankside/bank/access/access-refusal'
import { refusalOf } from '@bankside/bank/refusal'
import { type Refusal, Unavailable } from '@bankside/service-kit/refusal'
import type { Answer, Api, Problem } from './api.ts'
import { proofAlgorithms } from './dpop-proof.ts'
import type { Exchange } from './exchange.ts'
import type { Seen } from './observe.ts'
import { MethodNotAllowed, TooManyRequests, Violations } from './request-refusal.ts'
import { send } from './send.ts'
import { bodyLimitBytes } from './strict-json.ts'

/**
 * The three kinds of error, told apart once for every API: a refusal is answered as the API's table says, what is
 * unavailable with 503, and a fault with a reference and nothing else.
 */
export function answerError({ request, response }: Exchange, error: unknown, { api, seen }: { api: Api; seen: Seen }): void {
  const problem = problemOf(error, seen.interactionId)
  if (problem.kind === 'refused') seen.refused(problem.refusals.map(({ code }) => code))
  else if (problem.kind === 'unavailable') seen.unavailable(error)
  else seen.fault(error)
  const reply = api.renderProblem(problem)
  const closing = leavesTooMuchUnread(request) ? { connection: 'close' } : {}
  send(response, seen.interactionId, { ...reply, headers: { ...headersFor(request, problem, api), ...closing, ...reply.headers } })
}

function headersFor(request: IncomingMessage, problem: Problem, api: Api): Record<string, string> {
  if (problem.kind === 'unavailable') return { 'retry-after': String(problem.retryAfterSeconds) }
  return problem.kind === 'refused' ? headersOf(request, problem.refusals[0], api.answerTo(problem.refusals[0])) : {}
}

/** Node reads the rest of a body that nobody wanted before the next request; a long one is not worth that. */
function leavesTooMuchUnread({ complete, headers }: IncomingMessage): boolean {
  const bytes = headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : Number.POSITIVE_INFINITY
  return !complete && bytes > bodyLimitBytes
}

function problemOf(error: unknown, reference: string): Problem {
  if (error instanceof Unavailable) return { kind: 'unavailable', retryAfterSeconds: error.retryAfterSeconds, reference }
  const [first, ...others] = error instanceof Violations ? error.refusals : [refusalOf(error)]
  return first === undefined
    ? { kind: 'fault', reference }
    : { kind: 'refused', refusals: [first, ...others.filter((other) => other !== undefined)], reference }
}

function headersOf(request: IncomingMessage, refusal: Refusal, { challenge, retryAfterSeconds }: Answer): Record<string, string> {
  return {
    ...(challenge !== undefined && { 'www-authenticate': challengeOf(request, refusal, challenge) }),
    ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
    ...(refusal instanceof TooManyRequests && { 'retry-after': String(refusal.waitSeconds) }),
    ...(refusal instanceof MethodNotAllowed && { allow: refusal.allow.join(', ') }),
  }
}

/** RFC 6750 section 3, RFC 9449 section 7.1, RFC 9470 section 3: of the scheme that was used, of both when there was none. */
function challengeOf({ headers }: IncomingMessage, refusal: Refusal, challenge: NonNullable<Answer['challenge']>): string {
  const { scope, stepUp } = refusal instanceof AccessRefusal ? refusal.facts : {}
  const parameters = [
    ...(challenge === 'none' ? [] : [`error="${challenge}"`]),
    ...(scope === undefined ? [] : [`scope="${scope}"`]),
    ...(stepUp === undefined ? [] : [`acr_values="${stepUp.acrValues}"`, `max_age="${stepUp.maxAgeSeconds}"`]),
  ]
  const [scheme = ''] = /^(bearer|dpop)\b/i.exec(headers.authorization ?? '') ?? []
  const dpop = `DPoP ${[...parameters, `algs="${proofAlgorithms.join(' ')}"`].join(', ')}`
  const bearer = `Bearer ${parameters.join(', ')}`.trim()
  if (scheme.toLowerCase() === 'dpop' || challenge === 'invalid_dpop_proof') return dpop
  return scheme === '' ? `${dpop}, ${bearer}` : bearer
}
