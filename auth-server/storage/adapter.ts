import type { Clock } from '@bankside/service-kit/clock'
import type { Log } from '@bankside/service-kit/log'
import type { Prepared } from '@bankside/service-kit/prepared'
import type { RedisStore } from '@bankside/service-kit/redis'
import { type Adapter, type AdapterFactory, type AdapterPayload, errors } from 'oidc-provider'
import { protocolErrors } from '../protocol-errors.ts'
import { type AnswerWrites, answerWrites } from './answer-writes.ts'
import { clientStorage } from './client-storage.ts'
import { grantStorage } from './grant-storage.ts'
import { type KeyedRows, keyedRows } from './keyed-rows.ts'
import { postgresArtifacts } from './postgres-artifacts.ts'
import { type PushedWrites, pushedWrites } from './pushed-writes.ts'
import { redisArtifacts } from './redis-artifacts.ts'
import { sealedPayloads } from './sealed-payloads.ts'
import type { StoredSeals } from './stored-seals.ts'
import { type TokenWrites, tokenWrites } from './token-writes.ts'

export type Artifact = {
  readonly table: string
  /** Besides id_hash, payload and expires_at. */
  readonly columns: { readonly grant_id?: 'grantId'; readonly uid?: 'uid' }
  /** What a second use is answered with; absent where nothing is used up. */
  readonly usedUp?: () => Error
  /** A second use takes back what the first one was given (FAPI2-AZ-09), also when both came at once. */
  readonly secondUseRevokesGrant?: boolean
  /** Whoever misses one begins again. That it was used up is never lost. */
  readonly mayBeLost?: boolean
  /** Its part in what is written at once when an authorization request is answered. */
  readonly withAnswer?: 'begins' | 'joins' | 'is_forgotten' | 'completes' | 'completes_tokens'
  /** How long a row stays findable after the artifact in it has expired; the library then looks at `exp` in the payload. */
  readonly keptSeconds: number
  /** In Redis where there is one. What lasts as long as a consent, and what allows by not being there, never is. */
  readonly shortLived: boolean
  /** Members of the payload that are handles of something else, and that the library never reads back. */
  readonly strip?: (payload: AdapterPayload) => AdapterPayload
}

/**
 * A pushed request is used up when the authorization completes, which may be long after it expired as a request: were its
 * row gone by then, two journeys that began in time could both complete (FAPI2-AZ-15). So it outlives the longest journey.
 */
const longestJourneySeconds = 3_600

const artifacts: Readonly<Record<string, Artifact>> = {
  Session: { table: 'session', columns: { uid: 'uid' }, withAnswer: 'joins', keptSeconds: 0, shortLived: true },
  Interaction: {
    table: 'interaction',
    columns: {},
    mayBeLost: true,
    withAnswer: 'is_forgotten',
    keptSeconds: 0,
    shortLived: true,
    strip: withoutSessionCookie,
  },
  PushedAuthorizationRequest: {
    table: 'pushed_authorization_request',
    columns: {},
    usedUp: () => new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used'),
    mayBeLost: true,
    withAnswer: 'begins',
    keptSeconds: longestJourneySeconds,
    shortLived: true,
  },
  AuthorizationCode: {
    table: 'authorization_code',
    columns: { grant_id: 'grantId' },
    usedUp: () => new errors.InvalidGrant(),
    secondUseRevokesGrant: true,
    mayBeLost: true,
    withAnswer: 'completes',
    keptSeconds: 0,
    shortLived: true,
  },
  RefreshToken: {
    table: 'refresh_token',
    columns: { grant_id: 'grantId' },
    usedUp: () => new errors.InvalidGrant(),
    withAnswer: 'completes_tokens',
    keptSeconds: 0,
    shortLived: false,
  },
}

export type AdapterDependencies = {
  readonly prepared: Prepared
  readonly redis?: RedisStore | undefined
  readonly clock: Clock
  readonly log: Log
  readonly seals: StoredSeals
  readonly own?: OwnStorage
  /** Where others look for rows in the same turn. */
  readonly rows?: KeyedRows
  readonly tokens?: TokenWrites
  readonly pushed?: PushedWrites
}

/** What oidc-provider keeps, in PostgreSQL, and what is short-lived in Redis where there is one. Handles are stored as SHA-256 and cut out of the payload, which is sealed for its row. */
export function createAdapter({ prepared, own = {}, ...dependencies }: AdapterDependencies): AdapterFactory {
  const answering = { ...prepared, query: <Found extends object>(...query: Query) => protocolErrors(prepared.query<Found>(...query)) }
  const rows = dependencies.rows ?? keyedRows(prepared, dependencies.clock)
  const tokens = dependencies.tokens ?? tokenWrites(prepared)
  const pushed = dependencies.pushed ?? pushedWrites(prepared)
  const storing = { ...dependencies, rows, tokens, pushed, answers: answerWrites(answering, dependencies.clock), prepared: answering }
  return (model) => ({ ...nothingStored(model), ...(own[model] ?? storageOf(model, storing)) })
}

/** Models that are stored in a way of their own. */
export type OwnStorage = Readonly<Record<string, Partial<Adapter>>>

type Query = Parameters<Prepared['query']>

type Storing = Omit<AdapterDependencies, 'own' | 'rows' | 'tokens' | 'pushed'> & {
  readonly rows: KeyedRows
  readonly answers: AnswerWrites
  readonly tokens: TokenWrites
  readonly pushed: PushedWrites
}

function storageOf(model: string, { prepared, rows, answers, tokens, pushed, redis, clock, log, seals }: Storing): Partial<Adapter> {
  if (model === 'Client') return clientStorage(prepared, log)
  const grants = grantStorage({ prepared, rows, answers, clock }, sealedPayloads('Grant', seals, log))
  if (model === 'Grant') return grants
  const artifact = artifacts[model]
  if (artifact === undefined) return {}
  const payloads = sealedPayloads(model, seals, log, artifact.strip)
  return redis === undefined || !artifact.shortLived
    ? postgresArtifacts({ prepared, rows, answers, tokens, pushed, clock }, payloads, artifact)
    : redisArtifacts(redis, clock, payloads, artifact, grants.destroy)
}

function withoutSessionCookie(payload: AdapterPayload): AdapterPayload {
  const { session, ...rest } = payload as AdapterPayload & { session?: { cookie?: string } }
  if (session === undefined) return payload
  const { cookie: _handle, ...kept } = session
  return { ...rest, session: kept } as AdapterPayload
}

/**
 * Access tokens are signed and never stored: the library may look for one (at the revocation endpoint, say) and finds none.
 * Storing what no table is for is a fault.
 */
function nothingStored(model: string): Adapter {
  const refuse = async () => {
    throw new Error(`${model} is not stored`)
  }
  return {
    upsert: refuse,
    find: async () => undefined,
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
    consume: refuse,
    destroy: refuse,
    revokeByGrantId: async () => {},
  }
}
