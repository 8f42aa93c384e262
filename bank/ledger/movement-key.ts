import { hash } from 'node:crypto'
import { canonicalJson } from '../idempotency/canonical-json.ts'
import type { MovementKey } from './movement.ts'

export type KeyedRequest = {
  readonly clientId: string
  readonly method: string
  /** The path as routed, or the name of a command. */
  readonly endpoint: string
  readonly key: string
  /** The parsed JSON. Its meaning is compared, not its bytes. */
  readonly request: unknown
}

/** The four parts of a key as one UUID, and what is asked under it as one hash: half of SHA-256 tells keys apart, the whole of it requests. */
export function movementKey({ clientId, method, endpoint, key, request }: KeyedRequest): MovementKey {
  const id = sha256(JSON.stringify([clientId, method, endpoint, key])).slice(0, 32)
  return { id, requestHash: sha256(canonicalJson(request)) }
}

const sha256 = (text: string) => hash('sha256', text, 'hex')
