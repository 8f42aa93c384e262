import type { Change } from '../events/carry-out.ts'
import { statusChange } from './change-status.ts'
import type { AuthorisedConsent } from './lock-authorised-consent.ts'

/**
 * Spends a payment consent: whoever holds it authorised and locked can, once. To be carried out with the payment: one does
 * not happen without the other.
 */
export function consumeConsent(
  consent: AuthorisedConsent,
  { interactionId, now }: { readonly interactionId?: string | undefined; readonly now: Date },
): Change {
  const reason = { code: 'U038', description: 'The consent was used for a payment' }
  return statusChange(consent, { to: 'COND', reason, action: 'consent.consumed', actor: consent.clientId, interactionId, now })
}
