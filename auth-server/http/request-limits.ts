import { clientAddress } from '@bankside/service-kit/client-address'
import { rateLimit } from '@bankside/service-kit/rate-limit'
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Config } from '../config.ts'
import type { AuthServerMetrics } from '../metrics.ts'
import type { Endpoint } from './endpoints.ts'
import { keptWithRequest } from './kept-with-request.ts'
import { answerProblem, problems } from './problem-answer.ts'
import { maxBodyBytes } from './read-whole-body.ts'
import type { Context, Next } from './request-context.ts'

/** How much may come at once after a rest: as much as in so many seconds. */
const burstSeconds = 10

export type RequestLimits = {
  /** How long an address has to wait before another such request, in seconds; 0 when it has not. */
  readonly ofAddress: (address: string, endpoint: Endpoint | undefined, method: string) => number
  /** The same for a client that has shown who it is. */
  readonly ofClient: (clientId: string) => number
}

/**
 * How many requests this process takes from one address and from one client. Kept for as long as the process lives, also when
 * the keys change. Each process counts for itself: a count that all share would cost each request a round trip.
 */
export function requestLimits(config: Pick<Config, 'RATE_LIMIT_ADDRESS' | 'RATE_LIMIT_CLIENT' | 'RATE_LIMIT_SIGN_IN'>): RequestLimits {
  const limitOf = (perSecond: number) => rateLimit({ perSecond, burst: perSecond * burstSeconds })
  const [ofAll, ofSignIns, ofClient] = [config.RATE_LIMIT_ADDRESS, config.RATE_LIMIT_SIGN_IN, config.RATE_LIMIT_CLIENT].map(limitOf) as [
    ReturnType<typeof limitOf>,
    ReturnType<typeof limitOf>,
    ReturnType<typeof limitOf>,
  ]
  return {
    ofAddress: (address, endpoint, method) =>
      ofAll(address) || (endpoint !== undefined && isCostly(endpoint, method) ? ofSignIns(address) : 0),
    ofClient,
  }
}

/** What hashes a password, or makes a stranger a client. */
const costly: ReadonlySet<string> = new Set(['interaction', 'dashboard_sign_in', 'register', 'registered_client'])
const changes: ReadonlySet<string> = new Set(['POST', 'PUT'])
/** What reads much of the database. */
const costlyToRead: ReadonlySet<string> = new Set(['dashboard_proof'])

const isCostly = ({ name }: Endpoint, method: string): boolean => (changes.has(method) ? costly : costlyToRead).has(name)

type Limiting = { readonly limits: RequestLimits; readonly metrics: AuthServerMetrics; readonly config: Config }

/** PAR-05: before anything is read of a request but where it comes from. An address that nobody can tell is not limited. */
export function limitAddresses({ limits, metrics, config }: Limiting) {
  return (ctx: Context, next: Next): Promise<void> | void => {
    const { endpoint } = ctx.state
    const address = clientAddress(ctx.req, config.TRUSTED_PROXY_ADDRESSES)
    const waitSeconds = address === undefined ? 0 : limits.ofAddress(address, endpoint, ctx.method)
    if (waitSeconds === 0) return next()
    metrics.rateLimited.inc({ limit: 'address', route: endpoint?.name ?? 'unknown' })
    ctx.set('Retry-After', String(waitSeconds))
    // A small body is dropped and the connection kept: another handshake would cost more than this answer.
    if (mayBeLarge(ctx.req.headers)) ctx.set('Connection', 'close')
    ctx.req.resume()
    if (endpoint?.answers === 'page') return answerProblem(ctx, problems.tooManyRequests)
    ctx.status = 429
    ctx.set('Cache-Control', 'no-store')
    ctx.body = { error: tooManyRequests.error, error_description: tooManyRequests.description }
  }
}

const mayBeLarge = (headers: Context['req']['headers']): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > maxBodyBytes

/** RFC 6749 has no word for it; this one says that the same request may be sent again. */
const tooManyRequests = { error: 'temporarily_unavailable', description: 'too many requests: try again after the time in Retry-After' }

class TooManyRequests extends errors.CustomOIDCProviderError {
  override status = 429
  override statusCode = 429
  constructor() {
    super(tooManyRequests.error, tooManyRequests.description)
  }
}

const counted = keptWithRequest<true>('counted')

/**
 * For where the library has just found that a client is who it says. Counted there and not before: otherwise anyone could use
 * up what is another's, by its name.
 *
 * @throws {TooManyRequests} 429
 */
export function limitClient({ limits, metrics }: Omit<Limiting, 'config'>) {
  return (ctx: KoaContextWithOIDC): void => {
    const { client } = ctx.oidc
    if (client === undefined || counted.get(ctx)) return
    counted.set(ctx, true)
    const waitSeconds = limits.ofClient(client.clientId)
    if (waitSeconds === 0) return
    metrics.rateLimited.inc({ limit: 'client', route: (ctx as unknown as Context).state.endpoint?.name ?? 'unknown' })
    ctx.set('Retry-After', String(waitSeconds))
    throw new TooManyRequests()
  }
}
