import { createHash } from 'node:crypto'
import { sql, sqlState, type Transaction, z } from '@bankside/service-kit/postgres'
import type { ClientId } from '../ids.ts'
import { refuse } from '../refusal.ts'
import { canonicalJson } from './canonical-json.ts'

export type IdempotentRequest = {
  readonly clientId: ClientId
  readonly method: string
  /** The path as routed, with its parameters filled in. */
  readonly endpoint: string
  readonly key: string
  /** The parsed JSON. Its meaning is compared, not its bytes. */
  readonly request: unknown
  /** The id that what the request makes will have. */
  readonly resourceId: string
  readonly now: Date
}

/** How long a key is remembered (RW-ID-02). After that a request under it is a new one. */
export const keyRememberedMs = 24 * 60 * 60 * 1000
export const maxKeyLength = 40

/** SQLSTATE of a wait that was cut short. */
const lockNotAvailable = '55P03'

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
export async function claimKey(
  tx: Transaction,
  { clientId, method, endpoint, key, request, resourceId, now }: IdempotentRequest,
): Promise<Claimed> {
  const path = 'x-idempotency-key'
  if (key.length < 1 || key.length > maxKeyLength) refuse('field_invalid', `a key has 1 to ${maxKeyLength} characters`, { path })
  const hash = createHash('sha256').update(canonicalJson(request)).digest()
  const forgetBefore = new Date(now.getTime() - keyRememberedMs)

  const claiming = tx.one(sql.type(claimRow)`
    select * from payments.claim_idempotency_key(
      ${clientId}, ${method}, ${endpoint}, ${key}, ${sql.binary(hash)}, ${resourceId}, ${sql.timestamp(now)}, ${sql.timestamp(forgetBefore)})`)
  const { outcome, resource_id } = await claiming.catch((error: unknown) => {
    if (sqlState(error) !== lockNotAvailable) throw error
    return refuse('idempotency_key_in_use', 'the first request under this key is still running', { path })
  })
  if (outcome === 'reused') refuse('idempotency_key_reused', 'the key was used before with another request', { path })
  if (outcome === 'replayed') {
    if (resource_id === null) throw new Error('an idempotency key was committed without its resource')
    return { replayed: resource_id }
  }
  return { claimed: true }
}
