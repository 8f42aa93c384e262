import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** The caller's, or one of ours. */
export function interactionIdOf({ headers }: IncomingMessage): string {
  const given = headers['x-fapi-interaction-id']
  return typeof given === 'string' && uuid.test(given) ? given : randomUUID()
}
