import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { AccessRefusal } from '@bankside/bank/access/access-refusal'
import { readAccess } from '@bankside/bank/access/read-access'
import { appendAudit } from '@bankside/bank/audit/append-audit'
import { claimKey, refuseReusedKey, requestKey } from '@bankside/bank/idempotency/claim-key'
import { isAccountId } from '@bankside/bank/ids'
import type { TransportCertificate } from '@bankside/bank/licences/transport-certificate'
import type { PaymentSubmitter } from '@bankside/bank/payments/payment-submitter'
import { refusalOf, refuse } from '@bankside/bank/refusal'
import type { Clock } from '@bankside/service-kit/clock'
import type { History } from '@bankside/service-kit/history'
import { type Database, outsideTransaction, type Transaction, transact } from '@bankside/service-kit/postgres'
import type { Middleware } from 'koa'
import { accessTokenVerifier, type Trust, type VerifiedToken } from './access-token.ts'
import { answerError } from './answer-error.ts'
import type { Api, Call, Reply, Route } from './api.ts'
import { isIdempotent, isPaying } from './api.ts'
import { checkHeaders, checkMediaTypes, isInteractionId } from './check-headers.ts'
import { routeMatcher } from './match-route.ts'
import type { Observer } from './observe.ts'
import type { RequestLimits } from './request-limits.ts'
import { send } from './send.ts'
import { readJson } from './strict-json.ts'

export type Services = {
  readonly database: Database
  readonly history: History
  readonly payments: PaymentSubmitter
  readonly trust: Trust
  readonly clock: Clock
  readonly observe: Observer
  readonly limits: RequestLimits
}

/**
 * Every request of an API takes these steps in this order: how many there are, path and method, media types, headers, access token, body, and
 * then the access decision and the route's work: what changes anything in one transaction, what only reads on one connection.
 */
export function serve(api: Api, { database, history, payments, trust, clock, observe, limits }: Services): Middleware {
  const matchRoute = routeMatcher(api.routes)
  const verifyAccessToken = accessTokenVerifier(api.audience, trust)
  return async (ctx) => {
    const seen = observe.begin(api.name, interactionIdOf(ctx.req))
    try {
      limits.checkAddress(ctx.req)
      const { route, parameters } = matchRoute(ctx.method, ctx.path.slice(api.prefix.length))
      seen.route = route
      checkMediaTypes(ctx, api, route)
      const idempotencyKey = checkHeaders(ctx, api, route)
      const now = clock.now()
      const query = new URLSearchParams(ctx.querystring)
      const holder = trust.holderCertificate(ctx.req)
      const certificate = holder instanceof Promise ? await holder : holder
      const token = await verifyAccessToken({ request: ctx.req, path: ctx.path, query, certificate, now })
      seen.clientId = token.claims.clientId
      limits.checkHolder(api, route, token.claims)
      const body = route.method === 'POST' ? await readJson(ctx.req, api.pathStyle) : undefined
      const baseUrl = `${trust.origin}${api.prefix}`
      const request = {
        token,
        certificate: certificate?.transport,
        parameters,
        query,
        body,
        baseUrl,
        selfUrl: `${trust.origin}${ctx.url.replace(notOfUrls, encodeURIComponent)}`,
        interactionId: seen.interactionId,
        now,
        history,
      }
      const within = route.method === 'GET' || isPaying(route) ? outsideTransaction : transact
      const reply = await within(database, (tx) => answerWithin(tx, { api, route, request, idempotencyKey, payments })).catch(
        async (error) => {
          if (refusalOf(error)?.code === 'idempotency_key_reused') await auditReusedKey(database, route, request)
          throw error
        },
      )
      send(ctx, seen.interactionId, reply)
    } catch (error) {
      answerError(ctx, error, { api, seen })
    } finally {
      seen.end(ctx)
    }
  }
}

/** D7: one key for two requests is a mistake, or somebody trying. Written on its own, because the request is rolled back. */
async function auditReusedKey(database: Database, route: Route, { token, interactionId, now }: Request): Promise<void> {
  const { clientId, consentId = null } = token.claims
  const record = { actor: clientId, action: 'idempotency_key.reused', subject: clientId, interactionId, now }
  await transact(database, (tx) => appendAudit(tx, { ...record, details: { operation: route.door.operation, consentId } }))
}

/** Echoed when it is one, otherwise our own: every answer carries one, and so does every log line (RW-H-02). */
function interactionIdOf({ headersDistinct }: IncomingMessage): string {
  const given = headersDistinct['x-fapi-interaction-id'] ?? []
  const [only = ''] = given.length === 1 ? given : []
  return isInteractionId(only) ? only : randomUUID()
}

/** What HTTP lets through in a query and RFC 3986 does not: links are URLs, whatever was asked. */
const notOfUrls = /["<>\\^`{|}[\]]|%(?![0-9a-f]{2})/gi

type Request = Omit<Call, 'tx' | 'access'> & { readonly token: VerifiedToken; readonly certificate: TransportCertificate | undefined }
type Work = {
  readonly api: Api
  readonly route: Route
  readonly request: Request
  readonly idempotencyKey: string
  readonly payments: PaymentSubmitter
}

async function answerWithin(tx: Transaction, { api, route, request, idempotencyKey, payments }: Work): Promise<Reply> {
  const deciding = decide(tx, route, request)
  if (!isIdempotent(route) && !isPaying(route)) return route.handle({ ...request, tx, access: await deciding })
  const holder = api.idempotencyKeysOf === 'customer' ? ` of ${(await deciding).customerId}` : ''
  const { method } = route
  const { body, now } = request
  const keyed = {
    clientId: request.token.claims.clientId,
    method,
    endpoint: `${api.prefix}${route.path}${holder}`,
    key: idempotencyKey,
    request: body,
  }
  if (isPaying(route)) return pay({ ...request, tx, access: await deciding }, { route, keyed, payments })
  const id = route.newId()
  // Sent together with what decides, but not heard before it.
  const claiming = claimKey(tx, { ...keyed, resourceId: id, now })
  claiming.catch(() => {})
  const call: Call = { ...request, tx, access: await deciding }
  const claim = await claiming
  return 'replayed' in claim ? route.render(call, claim.replayed) : route.create(call, id)
}

type Paying = {
  readonly route: Extract<Route, { readonly order: unknown }>
  readonly keyed: Parameters<typeof requestKey>[0]
  readonly payments: PaymentSubmitter
}

async function pay(call: Call, { route, keyed, payments }: Paying): Promise<Reply> {
  const { access, interactionId, now } = call
  const key = requestKey(keyed)
  let order: ReturnType<typeof route.order>
  try {
    order = route.order(call)
  } catch (error) {
    await refuseReusedKey(call.tx, { ...keyed, now })
    throw error
  }
  const submitted = await payments.submit({ ...order, access, key, interactionId })
  return 'replayed' in submitted ? route.render(call, submitted.replayed) : route.renderMade(call, submitted)
}

async function decide(tx: Transaction, route: Route, { token, certificate, parameters, body, now }: Request): Promise<Call['access']> {
  const { accountId, ...named } = route.names?.(parameters, body) ?? {}
  const known = accountId === undefined || isAccountId(accountId)
  try {
    const access = await readAccess(tx, token.claims, { ...route.door, ...named, ...(known && { accountId }), certificate, now })
    if (!known) refuse('account_not_permitted', 'no such account among those of the token')
    return access
  } catch (error) {
    // A request that would be refused for its body is not worth sending a customer through a step-up.
    if (error instanceof AccessRefusal && error.facts.stepUp !== undefined) route.checkBody?.(body)
    throw error
  }
}
