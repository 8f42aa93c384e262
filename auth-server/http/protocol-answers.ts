import { errors, type KoaContextWithOIDC, type Provider } from 'oidc-provider'
import type { AuthServerMetrics } from '../metrics.ts'
import { keepErrorInProfile } from '../requests/request-rules.ts'
import { recordFault, setUnavailable, unavailableIn } from './answer-errors.ts'
import { answerProblem, problems } from './problem-answer.ts'
import type { Context } from './request-context.ts'

type ProtocolError = errors.OIDCProviderError

type Refinement = {
  readonly when: (error: ProtocolError) => boolean
  readonly status: number
  readonly error: string
  readonly description?: string
}

/** Where the library's answer is right in kind but says less than, or other than, the standard that asks for it. */
const refinements: readonly Refinement[] = [
  {
    // RFC 9449 section 5: a client that is to prove possession and does not.
    when: ({ error_detail }) => error_detail === 'DPoP proof JWT not provided',
    status: 400,
    error: 'invalid_dpop_proof',
    description: 'DPoP proof JWT not provided',
  },
  {
    when: ({ error_detail }) => error_detail === 'mutual TLS client certificate not provided',
    status: 400,
    error: 'invalid_request',
    description: 'mutual TLS client certificate not provided',
  },
  // RFC 9126 section 2.1: a pushed request cannot refer to another.
  {
    when: ({ error }) => error === 'request_uri_not_supported',
    status: 400,
    error: 'invalid_request',
    description: 'request_uri must not be pushed',
  },
  // FAPI1B-06: who says in two ways who it is must say the same.
  {
    when: ({ error_description }) => error_description === 'client_id mismatch',
    status: 401,
    error: 'invalid_client',
    description: 'client authentication failed',
  },
  {
    // RFC 6749 section 5.2.
    when: ({ error_description }) => error_description === 'requested grant type is not allowed for this client',
    status: 400,
    error: 'unauthorized_client',
  },
  {
    when: ({ error_detail }) => error_detail === 'request entity too large',
    status: 413,
    error: 'invalid_request',
    description: 'the request body is too large',
  },
]

/** What the back-channel endpoints answer, once the library has answered; and everything counted and logged. */
export function refineAnswers(provider: Provider, metrics: AuthServerMetrics): void {
  const answer = (ctx: KoaContextWithOIDC, error: ProtocolError) => {
    refine(ctx as unknown as Context, error)
    record(ctx as unknown as Context, error, metrics)
  }
  provider.on('grant.error', answer)
  provider.on('pushed_authorization_request.error', answer)
  provider.on('revocation.error', answer)
  provider.on('backchannel_authentication.error', answer)
  provider.on('introspection.error', answer)
  provider.on('userinfo.error', answer)
  provider.on('authorization.error', (ctx: KoaContextWithOIDC, error: ProtocolError) => {
    keepErrorInProfile(ctx)
    record(ctx as unknown as Context, error, metrics)
  })
  provider.on('server_error', (ctx: KoaContextWithOIDC, error: Error) => {
    keepErrorInProfile(ctx)
    recordFault(ctx as unknown as Context, error, metrics)
  })
}

function refine(ctx: Context, error: ProtocolError): void {
  const unavailable = unavailableIn(error)
  if (unavailable !== undefined) {
    setUnavailable(ctx, unavailable)
    ctx.status = 503
  }
  const refinement = refinements.find(({ when }) => when(error))
  if (refinement === undefined) return
  ctx.status = refinement.status
  ctx.body = { error: refinement.error, error_description: refinement.description ?? error.error_description }
}

/** The detail is the library's or ours, made of names and numbers: never of what the client sent. */
function record(ctx: Context, error: ProtocolError, metrics: AuthServerMetrics): void {
  metrics.protocolErrors.inc({ route: ctx.state.endpoint?.name ?? 'unknown', error: error.error })
  ctx.state.log.info({ code: error.error, description: error.error_description, detail: error.error_detail }, 'refused')
}

/** An authorization request that must not, or cannot, be answered by redirect (BCP-02). */
export async function renderProtocolError(koaContext: KoaContextWithOIDC, _out: unknown, error: Error): Promise<void> {
  const ctx = koaContext as unknown as Context
  const unavailable = unavailableIn(error)
  if (unavailable !== undefined) {
    setUnavailable(ctx, unavailable)
    return answerProblem(ctx, problems.unavailable)
  }
  if (error instanceof errors.SessionNotFound) return answerProblem(ctx, problems.ended)
  if (error instanceof errors.OIDCProviderError && error.expose)
    return answerProblem(ctx, problems.brokenRequest, { protocolError: protocolErrorText(error) })
  return answerProblem(ctx, problems.fault)
}

const descriptionLengthAtMost = 200

/** Descriptions name rules and parameters; a value is repeated in none that somebody other than a registered client can cause. */
function protocolErrorText({ error, error_description: text = '' }: errors.OIDCProviderError): string {
  return text === '' || text.length > descriptionLengthAtMost ? error : `${error}: ${text}`
}
