import type { Transaction } from '@bankside/service-kit/postgres'
import { type AccessDecision, type AccessRequest, decideAccess, type TokenClaims } from './decide-access.ts'
import { requirementOf } from './operations.ts'
import { readPaymentStanding, readStanding } from './standing.ts'

/**
 * What every handler begins with: how the token's client, grant and consent stand now, and what that opens.
 *
 * @throws {AccessRefusal} as {@link decideAccess}.
 */
export function readAccess(tx: Transaction, token: TokenClaims, request: AccessRequest): Promise<AccessDecision> {
  const isOfPayment = requirementOf(request).bearer === 'domestic_payment' && request.accountId === undefined
  const reading = isOfPayment ? readPaymentStanding(tx, token) : readStanding(tx, token, request.accountId)
  return reading.then((standing) => decideAccess(standing, { ...request, token }))
}
