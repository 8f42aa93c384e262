import { hash } from 'node:crypto'
import { lockNotAvailable, sql, sqlState, type Transaction, z } from '@bankside/service-kit/postgres'
import { Refusal } from '@bankside/service-kit/refusal'
import type { ClientId } from '../ids.ts'
import { type BankRefusal, refuse } from '../refusal.ts'
import { canonicalJson } from './canonical-json.ts'

type Keyed = {
  readonly clientId: ClientId
  readonly method: string
  /** The path as routed, with its parameters filled in. */
  readonly endpoint: string
  readonly key: string
}

export type IdempotentRequest = Keyed & {
  /** The parsed JSON. Its meaning is compared, not its bytes. */
  readonly request: unknown
  /** The id that what the request makes will have. */
  readonly resourceId: string
  readonly now: Date
}

/** A key that is good, and SHA-256, in hex, of the request as canonical JSON. Made by {@link requestKey}. */
export type RequestKey = Keyed & { readonly requestHash: string }

/** How long a key is remembered (RW-ID-02). After that a request under it is a new one. */
export const keyRememberedMs = 24 * 60 * 60 * 1000
export const maxKeyLength = 40
const path = 'x-idempotency-key'

/** @throws {Refusal} `field_invalid` for a key that is empty or too long. */
export function requestKey({ clientId, method, endpoint, key, request }: Keyed & Pick<IdempotentRequest, 'request'>): RequestKey {
  if (key.length < 1 || key.length > maxKeyLength) refuse('field_invalid', `a key has 1 to ${maxKeyLength} characters`, { path })
  return { clientId, method, endpoint, key, requestHash: hash('sha256', canonicalJson(request), 'hex') }
}

export const keyReused = () => new Refusal<BankRefusal>('idempotency_key_reused', 'the key was used before with another request', { path })

/** Of the first request under the key, which is still running. */
export const keyInUse = () =>
  new Refusal<BankRefusal>('idempotency_key_in_use', 'the first request under this key is still running', { path })

const claimRow = z.object({ outcome: z.enum(['claimed', 'reused', 'replayed']), resource_id: z.string().nullable() })

/** `claimed`: the caller is the first, and makes the resource. `replayed`: the id of the one that the first made. */
export type Claimed = { readonly claimed: true } | { readonly replayed: string }

/**
 * Once per client, method, endpoint and key a request may do its work. A repeat gets the id of the resource that the first
 * made, so that the caller can render its present state. The claim lives in the caller's transaction: when that is rolled
 * back, because the request was refused, the key is as new.
 *
 * A repeat that arrives while the first is running waits for it a moment, long enough for an ordinary request to commit,
 * and is then told that the key is in use.
 *
 * @throws {Refusal} `idempotency_key_reused`, `idempotency_key_in_use`; `field_invalid` for a key that is empty or too long.
 * @see Open Banking Read/Write Data API v4.0, Idempotency; decision D7
 */
export async function claimKey(tx: Transaction, { resourceId, now, ...request }: IdempotentRequest): Promise<Claimed> {
  const { clientId, method, endpoint, key, requestHash } = requestKey(request)
  const hashed = sql.binary(Buffer.from(requestHash, 'hex'))
  const claiming = tx.one(sql.type(claimRow)`
    select * from payments.claim_idempotency_key(
      ${clientId}, ${method}, ${endpoint}, ${key}, ${hashed}, ${resourceId}, ${sql.timestamp(now)}, ${sql.timestamp(forgottenAt(now))})`)
  const { outcome, resource_id } = await claiming.catch((error: unknown) => {
    throw sqlState(error) === lockNotAvailable ? keyInUse() : error
  })
  if (outcome === 'reused') throw keyReused()
  if (outcome === 'replayed') {
    if (resource_id === null) throw new Error('an idempotency key was committed without its resource')
    return { replayed: resource_id }
  }
  return { claimed: true }
}

const forgottenAt = (now: Date) => new Date(now.getTime() - keyRememberedMs)

/**
 * For a request that is refused before it could claim its key: one under a key that was used with another is told so.
 *
 * @throws {Refusal} `idempotency_key_reused`.
 */
export async function refuseReusedKey(tx: Transaction, { now, ...request }: Omit<IdempotentRequest, 'resourceId'>): Promise<void> {
  const { clientId, method, endpoint, key, requestHash } = requestKey(request)
  const reused = await tx.exists(sql.unsafe`
    select from payments.idempotent_request
    where client_id = ${clientId} and method = ${method} and endpoint = ${endpoint} and key = ${key}
      and created_at > ${sql.timestamp(forgottenAt(now))} and request_hash <> ${sql.binary(Buffer.from(requestHash, 'hex'))}`)
  if (reused) throw keyReused()
}
