import type { Transaction } from '@bankside/service-kit/postgres'
import type { CustomerId } from '../ids.ts'
import { refuse } from '../refusal.ts'
import { cancelAccess } from './cancel-access.ts'
import type { AccountAccessConsent } from './consent.ts'
import { lockAnyConsent } from './get-consent.ts'

export type Revocation = {
  readonly consentId: string
  readonly customerId: CustomerId
  readonly interactionId?: string | undefined
  readonly now: Date
}

/**
 * The customer takes access back (AIS-20, DB-05): the third party's very next call is refused, its refresh token is dead.
 * Payments are not revocable (PIS-18). Stopping what is stopped already changes nothing.
 *
 * @throws {Refusal} `consent_not_found` (also for another customer's), `consent_not_authorised`.
 */
export async function revokeConsent(
  tx: Transaction,
  { consentId, customerId, interactionId, now }: Revocation,
): Promise<AccountAccessConsent> {
  const consent = await lockAnyConsent(tx, consentId)
  if (consent === undefined || consent.customerId !== customerId || consent.kind !== 'account_access' || consent.deletedAt !== undefined)
    refuse('consent_not_found', 'no such consent of this customer')
  if (consent.status === 'CANC') return consent

  const reason = { code: 'CUST', description: 'The customer stopped the access' }
  return cancelAccess(tx, consent, { reason, action: 'consent.revoked', actor: customerId, interactionId, now })
}
