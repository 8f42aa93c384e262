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
import { type Database, statementsOf, type Transaction, transact } from '@bankside/service-kit/postgres'
import { accessTokenVerifier, type Trust, type VerifiedToken } from './access-token.ts'
import { answerError } from './answer-error.ts'
import type { Api, Call, Reply, Route } from './api.ts'
import { isPaying, isPlain, isRead } from './api.ts'
import { checkHeaders, checkMediaTypes, isInteractionId } from './check-headers.ts'
import type { Exchange } from './exchange.ts'
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

/** Answers, whatever happens. */
export type Serve = (exchange: Exchange) => Promise<void>

/**
 * Every request of an API takes these steps in this order: how many there are, path and method, media types, headers, access token, body, and
 * then the access decision and the route's work: what changes anything in one transaction, what only reads on one connection.
 */
export function serve(api: Api, services: Services): Serve {
  const { database, trust, clock, observe, limits } = services
  const matchRoute = routeMatcher(api.routes)
  const verifyAccessToken = accessTokenVerifier(api.audience, trust)
  const single = statementsOf(database)
  const baseUrl = `${trust.origin}${api.prefix}`
  return async (exchange) => {
    const { request, path } = exchange
    const seen = observe.begin(api.name, interactionIdOf(request))
    try {
      limits.checkAddress(request)
      const { route, parameters } = matchRoute(request.method ?? '', path.slice(api.prefix.length))
      seen.route = route
      checkMediaTypes(request, api, route)
      const idempotencyKey = checkHeaders(request, api, route)
      const now = clock.now()
      const query = exchange.query === '' ? noQuery : new URLSearchParams(exchange.query)
      const holder = trust.holderCertificate(request)
      const certificate = holder instanceof Promise ? await holder : holder
      const presented = verifyAccessToken({ request, path, query, certificate, now })
      const holding = presented instanceof Promise ? await presented : presented
      const named = { certificate: certificate?.transport, parameters, now }
      const reading = route.method === 'POST' ? readJson(request, api.pathStyle) : undefined
      // A read or a payment is decided upon while its proof is used up, but neither that nor its body is heard before the proof is.
      const deciding = 'used' in holding ? decideAhead(single, route, { ...named, token: holding }, reading) : undefined
      for (const ahead of [reading, deciding]) ahead?.catch(() => {})
      const token = 'used' in holding ? await holding.used : holding
      seen.clientId = token.claims.clientId
      limits.checkHolder(api, route, token.claims)
      const asked: Request = {
        ...named,
        token,
        query,
        body: await reading,
        baseUrl,
        selfUrl: `${trust.origin}${request.url?.replace(notOfUrls, encodeURIComponent)}`,
        interactionId: seen.interactionId,
        history: services.history,
      }
      const reply = !isPlain(route)
        ? await answerOnce({ api, route, request: asked, idempotencyKey, services, deciding })
        : await (isRead(route) ? handle(single, route, asked, deciding) : transact(database, (tx) => handle(tx, route, asked)))
      send(exchange.response, seen.interactionId, reply)
    } catch (error) {
      answerError(exchange, error, { api, seen })
    } finally {
      seen.end(exchange)
    }
  }
}

const noQuery = new URLSearchParams()

async function handle(
  tx: Transaction,
  route: Extract<Route, { readonly handle: unknown }>,
  request: Request,
  deciding = decide(tx, route, request),
): Promise<Reply> {
  return route.handle({ ...request, tx, access: await deciding })
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
  readonly route: Exclude<Route, { readonly handle: unknown }>
  readonly request: Request
  readonly idempotencyKey: string
  readonly services: Services
  readonly deciding: Promise<Call['access']> | undefined
}

/** What a client may repeat under one key. */
async function answerOnce({ api, route, request, idempotencyKey, services: { database, payments }, deciding }: Work): Promise<Reply> {
  const keyedBy = (access: Call['access'] | undefined): Keyed => {
    const holder = access === undefined ? '' : ` of ${access.customerId}`
    const { clientId } = request.token.claims
    return { clientId, method: route.method, endpoint: `${api.prefix}${route.path}${holder}`, key: idempotencyKey, request: request.body }
  }
  const ofCustomer = api.idempotencyKeysOf === 'customer'
  try {
    if (!isPaying(route)) return await transact(database, (tx) => createOnce(tx, route, request, { keyedBy, ofCustomer }))
    const tx = statementsOf(database)
    const access = await (deciding ?? decide(tx, route, request))
    return await pay({ ...request, tx, access }, { route, keyed: keyedBy(ofCustomer ? access : undefined), payments })
  } catch (error) {
    if (refusalOf(error)?.code === 'idempotency_key_reused') await auditReusedKey(database, route, request)
    throw error
  }
}

type Keyed = Parameters<typeof requestKey>[0]
type Claiming = { readonly keyedBy: (access: Call['access'] | undefined) => Keyed; readonly ofCustomer: boolean }

async function createOnce(
  tx: Transaction,
  route: Extract<Route, { readonly create: unknown }>,
  request: Request,
  { keyedBy, ofCustomer }: Claiming,
): Promise<Reply> {
  const deciding = decide(tx, route, request)
  const keyed = keyedBy(ofCustomer ? await deciding : undefined)
  const id = route.newId(request.now)
  // Sent together with what decides, but not heard before it.
  const claiming = claimKey(tx, { ...keyed, resourceId: id, now: request.now })
  claiming.catch(() => {})
  const call: Call = { ...request, tx, access: await deciding }
  const claim = await claiming
  return 'replayed' in claim ? route.render(call, claim.replayed) : route.create(call, id)
}

type Paying = {
  readonly route: Extract<Route, { readonly order: unknown }>
  readonly keyed: Keyed
  readonly payments: PaymentSubmitter
}

async function pay(call: Call, { route, keyed, payments }: Paying): Promise<Reply> {
  const { access, body, interactionId, now } = call
  const key = requestKey(keyed)
  let order: ReturnType<typeof route.order>
  try {
    order = route.order(call)
  } catch (error) {
    await refuseReusedKey(call.tx, { ...keyed, now })
    throw error
  }
  const submitted = await payments.submit({ ...order, access, key, interactionId }).catch((error) => {
    if (refusalOf(error)?.code.startsWith('consent_')) route.checkBody(body)
    throw error
  })
  return 'replayed' in submitted ? route.render(call, submitted.replayed) : route.renderMade(call, submitted)
}

type Deciding = Pick<Request, 'certificate' | 'parameters' | 'now'> & {
  readonly token: Pick<VerifiedToken, 'claims'>
  readonly body?: unknown
}

/** Undefined where the decision belongs into the transaction of what it allows. A payment is asked about again under the lock of its consent. */
function decideAhead(
  tx: Transaction,
  route: Route,
  deciding: Deciding,
  reading: Promise<unknown> | undefined,
): Promise<Call['access']> | undefined {
  if (isRead(route)) return decide(tx, route, deciding)
  return isPaying(route) ? reading?.then((body) => decide(tx, route, { ...deciding, body })) : undefined
}

async function decide(tx: Transaction, route: Route, { token, certificate, parameters, body, now }: Deciding): Promise<Call['access']> {
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
