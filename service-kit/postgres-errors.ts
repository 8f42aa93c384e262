import pg from 'pg'
import { SlonikError } from 'slonik'
import { Unavailable } from './refusal.ts'

/** What PostgreSQL asks to repeat: serialization failure, deadlock. */
export const retryableStates = new Set(['40001', '40P01'])

/** A lock was not to be had in the time that there is for it. */
export const lockNotAvailable = '55P03'

/** A statement took longer than one may, or somebody cancelled it. */
export const cancelled = '57014'

/** Classes and codes of PostgreSQL (appendix A) that say "not now": connections, resources, operator, read-only. */
export function unavailable(error: unknown): Unavailable | undefined {
  if (error instanceof Unavailable) return error
  const state = sqlState(error)
  const lost = state === undefined && causes(error).some(isConnectionError)
  const refusing = state !== undefined && (/^(08|53|57|58)/.test(state) || state === '25006' || retryableStates.has(state))
  return lost || refusing ? new Unavailable('the database does not answer now', { cause: error }) : undefined
}

const lostConnections = new Set([
  'ConnectionError',
  'BackendTerminatedError',
  'BackendTerminatedUnexpectedlyError',
  'IdleTransactionTimeoutError',
])

function isConnectionError(error: unknown): boolean {
  const code = (error as { code?: unknown }).code
  if (typeof code === 'string' && /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_|EHOST|ENET)/.test(code)) return true
  return error instanceof SlonikError && lostConnections.has(error.constructor.name)
}

/** A partition's own key is named after its table's, with this and the partition's suffix behind it. */
const ofPartition = /__\w+$/

/** Name of the constraint that an error reports as violated. Code maps constraint names, never message text. */
export function violatedConstraint(error: unknown): string | undefined {
  return causes(error)
    .find((cause): cause is pg.DatabaseError => cause instanceof pg.DatabaseError)
    ?.constraint?.replace(ofPartition, '')
}

export function sqlState(error: unknown): string | undefined {
  return causes(error).find((cause): cause is pg.DatabaseError => cause instanceof pg.DatabaseError)?.code
}

function causes(error: unknown): unknown[] {
  const found: unknown[] = []
  for (let cause = error; cause instanceof Error && found.length < 8; cause = cause.cause) found.push(cause)
  return found
}
