import type { Transaction } from '@bankside/service-kit/postgres'
import { type AccessDecision, type AccessRequest, decideAccess, type TokenClaims } from './decide-access.ts'
import { readStanding } from './standing.ts'

/**
 * What every handler begins with: how the token's client, grant and consent stand now, and what that opens.
 *
 * @throws {AccessRefusal} as {@link decideAccess}.
 */
export function readAccess(tx: Transaction, token: TokenClaims, request: AccessRequest): Promise<AccessDecision> {
  return readStanding(tx, token, request.accountId).then((standing) => decideAccess(standing, { ...request, token }))
}
