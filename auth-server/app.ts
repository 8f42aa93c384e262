import type { Clock } from '@bankside/service-kit/clock'
import type { Log } from '@bankside/service-kit/log'
import type { Database } from '@bankside/service-kit/postgres'
import type { Prepared } from '@bankside/service-kit/prepared'
import type { RedisStore } from '@bankside/service-kit/redis'
import type Koa from 'koa'
import mount from 'koa-mount'
import { promptPages } from './backchannel/prompt-pages.ts'
import { slowDown } from './backchannel/slow-down.ts'
import { refuseRevoked } from './client-authentication/refuse-revoked.ts'
import type { Config } from './config.ts'
import { dashboard } from './dashboard/dashboard.ts'
import { exactDiscovery } from './discovery.ts'
import { grantsApi } from './grants/grants-api.ts'
import { nameGrants } from './grants/token-response.ts'
import { answerErrors } from './http/answer-errors.ts'
import { authorizationQuery } from './http/authorization-query.ts'
import { byEndpoint, named } from './http/by-endpoint.ts'
import type { Endpoint, Listener } from './http/endpoints.ts'
import { gate } from './http/gate.ts'
import type { KeyedSignatures } from './http/keyed-signatures.ts'
import { PlainAnswers } from './http/plain-answers.ts'
import { preparedDocuments } from './http/prepared-documents.ts'
import { refineAnswers, renderProtocolError } from './http/protocol-answers.ts'
import type { Context, Next } from './http/request-context.ts'
import { limitAddresses, type RequestLimits } from './http/request-limits.ts'
import { requestLog } from './http/request-log.ts'
import { setSecurityHeaders } from './http/security-headers.ts'
import { serveAssets } from './http/serve-assets.ts'
import { interactionPages } from './interactions/interaction-pages.ts'
import { countSignOns } from './interactions/single-sign-on.ts'
import { deliverLogouts } from './logout/deliver-logouts.ts'
import { endSession } from './logout/end-session.ts'
import type { AuthServerMetrics } from './metrics.ts'
import { createProvider } from './provider.ts'
import type { Published } from './published/open-published.ts'
import { registration } from './registration/registration.ts'
import { askForAuthorization } from './storage/ask-ahead.ts'
import { keyedRows } from './storage/keyed-rows.ts'
import { pushedWrites } from './storage/pushed-writes.ts'
import { tokenWrites } from './storage/token-writes.ts'

export type AuthServerDependencies = {
  readonly config: Config
  readonly database: Database
  readonly prepared: Prepared
  /** Where what is short-lived goes, if there is one. */
  readonly redis?: RedisStore | undefined
  readonly clock: Clock
  readonly log: Log
  readonly metrics: AuthServerMetrics
  readonly limits: RequestLimits
  readonly published: Published
}

type Handler = ReturnType<Koa['callback']>
export type Handlers = Readonly<Record<Listener, Handler>> & {
  /** Tells clients of logouts, as many as are due (at most so many at once). @returns how many were attempted. */
  readonly deliverLogouts: () => Promise<number>
}

/**
 * One provider behind two listeners: the issuer, where browsers come, and its twin, where clients come with certificates.
 * Made anew whenever the keys change (`followKeys`): whatever must outlive that comes in with the dependencies.
 */
export function createAuthServer(dependencies: AuthServerDependencies): Handlers {
  const { config, metrics, prepared, clock } = dependencies
  const rows = keyedRows(prepared, clock)
  const tokens = tokenWrites(prepared)
  const pushed = pushedWrites(prepared)
  const provider = createProvider({ ...dependencies, rows, tokens, pushed, renderError: renderProtocolError })
  refineAnswers(provider, metrics)
  countSignOns(provider, metrics)
  const register = registration(provider, dependencies)
  const pages = [
    interactionPages(provider, rows, dependencies),
    dashboard({ ...dependencies, provider }),
    endSession(provider, dependencies),
    promptPages(provider, dependencies),
  ]

  const listen = (listener: Listener, origin: string): Handler => {
    const app = new PlainAnswers()
    const documents = preparedDocuments({ listener, origin, metrics })
    // The library signs its cookies with the app's keys and reads them with its own.
    app.keys = provider.keys as unknown as KeyedSignatures
    app.use(requestLog({ ...dependencies, listener }))
    app.use(securityHeaders)
    app.use(answerErrors(metrics))
    app.use(limitAddresses(dependencies))
    app.use(gate(listener, origin))
    app.use(
      byEndpoint([
        [documents.isFor, documents.remember],
        [documents.isFor, exactDiscovery(config.ISSUER)],
        [named('authorization'), authorizationQuery],
        [named('authorization'), askForAuthorization(rows)],
        [() => true, refuseRevoked(dependencies)],
        [named('register', 'registered_client'), register],
        [named('token'), nameGrants(dependencies.prepared)],
        [named('token'), tokens.finish],
        [named('grant'), grantsApi(provider, dependencies, origin)],
        [({ answers }) => answers === 'asset', serveAssets],
        ...pages.map((page) => [({ answers }: Endpoint) => answers === 'page', page] as const),
        [named('token'), slowDown(dependencies)],
      ]),
    )
    app.use(mount(provider as unknown as Koa))
    return documents.before(app.callback()) as Handler
  }
  return {
    issuer: listen('issuer', config.ISSUER),
    mtls: listen('mtls', config.MTLS_ISSUER),
    deliverLogouts: () => deliverLogouts({ ...dependencies, provider, fetch: dependencies.published.fetch }),
  }
}

function securityHeaders(ctx: Context, next: Next): Promise<void> {
  setSecurityHeaders(ctx as Koa.Context)
  return next()
}
