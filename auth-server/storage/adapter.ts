import type { Clock } from '@bankside/service-kit/clock'
import type { Log } from '@bankside/service-kit/log'
import type { Prepared } from '@bankside/service-kit/prepared'
import { type Adapter, type AdapterFactory, type AdapterPayload, errors } from 'oidc-provider'
import { protocolErrors } from '../protocol-errors.ts'
import { clientStorage } from './client-storage.ts'
import { grantStorage } from './grant-storage.ts'
import { handleHash } from './handle-hash.ts'

type Artifact = {
  readonly table: string
  /** Besides id_hash, payload and expires_at. */
  readonly columns: { readonly grant_id?: 'grantId'; readonly uid?: 'uid' }
  /** What a second use is answered with; absent where nothing is used up. */
  readonly usedUp?: () => Error
  /** A second use takes back what the first one was given (FAPI2-AZ-09), also when both came at once. */
  readonly secondUseRevokesGrant?: boolean
  /** How long a row stays findable after the artifact in it has expired; the library then looks at `exp` in the payload. */
  readonly keptSeconds: number
  /** Members of the payload that are handles of something else, and that the library never reads back. */
  readonly strip?: (payload: AdapterPayload) => AdapterPayload
}

/**
 * A pushed request is used up when the authorization completes, which may be long after it expired as a request: were its
 * row gone by then, two journeys that began in time could both complete (FAPI2-AZ-15). So it outlives the longest journey.
 */
const longestJourneySeconds = 3_600

const artifacts: Readonly<Record<string, Artifact>> = {
  Session: { table: 'session', columns: { uid: 'uid' }, keptSeconds: 0 },
  Interaction: { table: 'interaction', columns: {}, keptSeconds: 0, strip: withoutSessionCookie },
  PushedAuthorizationRequest: {
    table: 'pushed_authorization_request',
    columns: {},
    usedUp: () => new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used'),
    keptSeconds: longestJourneySeconds,
  },
  AuthorizationCode: {
    table: 'authorization_code',
    columns: { grant_id: 'grantId' },
    usedUp: () => new errors.InvalidGrant(),
    secondUseRevokesGrant: true,
    keptSeconds: 0,
  },
  RefreshToken: { table: 'refresh_token', columns: { grant_id: 'grantId' }, usedUp: () => new errors.InvalidGrant(), keptSeconds: 0 },
}

/**
 * What oidc-provider keeps, in PostgreSQL. Handles are stored as SHA-256 and cut out of the payload. What may be used once
 * is used up by one statement that succeeds once, however many ask at the same time.
 */
export function createAdapter(prepared: Prepared, clock: Clock, log: Log, own: OwnStorage = {}): AdapterFactory {
  const answering = { ...prepared, query: <Found extends object>(...query: Query) => protocolErrors(prepared.query<Found>(...query)) }
  return (model) => ({ ...nothingStored(model), ...(own[model] ?? storageOf(model, answering, clock, log)) })
}

/** Models that are stored in a way of their own. */
export type OwnStorage = Readonly<Record<string, Partial<Adapter>>>

type Query = Parameters<Prepared['query']>

function storageOf(model: string, prepared: Prepared, clock: Clock, log: Log): Partial<Adapter> {
  if (model === 'Client') return clientStorage(prepared, log)
  if (model === 'Grant') return grantStorage(prepared, clock)
  const artifact = artifacts[model]
  return artifact === undefined ? {} : artifactStorage(prepared, clock, artifact)
}

type Row = { readonly payload: string; readonly consumed_at?: Date | null }

function artifactStorage(prepared: Prepared, clock: Clock, artifact: Artifact): Partial<Adapter> {
  const { table, columns, usedUp, secondUseRevokesGrant, keptSeconds, strip = (payload) => payload } = artifact
  const extra = Object.keys(columns) as (keyof typeof columns)[]
  const found = (row: Row | undefined, id: string | undefined): AdapterPayload | undefined =>
    row && {
      ...(JSON.parse(row.payload) as AdapterPayload),
      ...(id !== undefined && { jti: id }),
      ...(row.consumed_at && { consumed: Math.floor(row.consumed_at.getTime() / 1000) }),
    }
  const selected = usedUp ? 'payload, consumed_at' : 'payload'

  return {
    async upsert(id, payload, expiresIn) {
      const { jti: _handle, ...stored } = strip(payload)
      await prepared.query(`oidc_${table}_upsert`, upsertText(table, extra), [
        handleHash(id),
        JSON.stringify(stored),
        expiry(clock, expiresIn, keptSeconds),
        ...extra.map((column) => payload[columns[column] ?? column]),
      ])
    },
    async find(id) {
      const text = `select ${selected} from oidc.${table} where id_hash = $1 and expires_at > $2`
      const [row] = await prepared.query<Row>(`oidc_${table}_find`, text, [handleHash(id), clock.now()])
      return found(row, id)
    },
    async findByUid(uid) {
      const text = `select payload from oidc.${table} where uid = $1 and expires_at > $2`
      const [row] = await prepared.query<Row>(`oidc_${table}_find_by_uid`, text, [uid, clock.now()])
      return found(row, undefined)
    },
    async consume(id) {
      const text = `update oidc.${table} set consumed_at = $2 where id_hash = $1 and consumed_at is null returning true as consumed`
      const consumed = await prepared.query(`oidc_${table}_consume`, text, [handleHash(id), clock.now()])
      if (consumed.length > 0 || !usedUp) return
      if (secondUseRevokesGrant) await prepared.query(`oidc_${table}_used_twice`, revokeGrantText(table), [handleHash(id), clock.now()])
      throw usedUp()
    },
    async destroy(id) {
      await prepared.query(`oidc_${table}_destroy`, `delete from oidc.${table} where id_hash = $1`, [handleHash(id)])
    },
    async revokeByGrantId(grantId) {
      await prepared.query(`oidc_${table}_revoke`, `delete from oidc.${table} where grant_id = $1`, [grantId])
    },
  }
}

/** The library revokes when it finds a used code; of two that found it unused, the one that comes second does it here. */
const revokeGrantText = (table: string) => `update oidc.grant set revoked_at = $2
  where revoked_at is null and grant_id = (select grant_id from oidc.${table} where id_hash = $1)`

/** A session changes its handle and keeps its uid (after sign-in): two tabs that do so at once must not collide. */
function upsertText(table: string, extra: readonly string[]): string {
  const columns = ['id_hash', 'payload', 'expires_at', ...extra]
  const conflict = extra.includes('uid') ? 'uid' : 'id_hash'
  const assignments = columns.filter((column) => column !== conflict).map((column) => `${column} = excluded.${column}`)
  return `insert into oidc.${table} (${columns.join(', ')}) values (${columns.map((_, index) => `$${index + 1}`).join(', ')})
    on conflict (${conflict}) do update set ${assignments.join(', ')}`
}

function expiry(clock: Clock, expiresInSeconds: number | undefined, keptSeconds: number): Date {
  if (expiresInSeconds === undefined) throw new Error('everything stored expires')
  return new Date(clock.now().getTime() + (expiresInSeconds + keptSeconds) * 1000)
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
