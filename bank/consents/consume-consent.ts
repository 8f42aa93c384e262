import type { Transaction } from '@bankside/service-kit/postgres'
import { changeStatus } from './change-status.ts'
import type { AuthorisedConsent } from './lock-authorised-consent.ts'

/** Spends a payment consent: whoever holds it authorised and locked can, once. Commits with the payment or not at all. */
export async function consumeConsent(
  tx: Transaction,
  consent: AuthorisedConsent,
  { interactionId, now }: { readonly interactionId?: string | undefined; readonly now: Date },
): Promise<void> {
  const reason = { code: 'U038', description: 'The consent was used for a payment' }
  await changeStatus(tx, consent, { to: 'COND', reason, action: 'consent.consumed', actor: consent.clientId, interactionId, now })
}
