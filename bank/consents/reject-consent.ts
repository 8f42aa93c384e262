import type { Transaction } from '@bankside/service-kit/postgres'
import { changeStatus } from './change-status.ts'
import type { Consent } from './consent.ts'
import { type ConsentSought, lockConsent } from './get-consent.ts'

export type Rejection = ConsentSought & {
  /** U036 not completed · U037 failed · AC01 the account to pay from is not the customer's. */
  readonly reasonCode: string
  readonly description: string
  readonly interactionId?: string | undefined
  readonly evidence?: Readonly<Record<string, unknown>>
  readonly now: Date
}

/**
 * Ends a request that the customer did not accept (CON-05). One that was decided before stays as it is: who gives up on a
 * renewal keeps the access given earlier, and leaving the pages twice rejects once.
 *
 * @throws {Refusal} `consent_not_found`, `consent_not_yours`.
 */
export async function rejectConsent(tx: Transaction, rejection: Rejection): Promise<Consent> {
  const consent = await lockConsent(tx, rejection)
  return consent.status === 'AWAU' ? rejectAwaiting(tx, consent, rejection) : consent
}

/** @throws {Refusal} `consent_not_authorised` when the consent is decided. */
export function rejectAwaiting<Rejected extends Consent>(
  tx: Transaction,
  consent: Rejected,
  { reasonCode, description, interactionId, evidence, now }: Omit<Rejection, keyof ConsentSought>,
): Promise<Rejected> {
  const change = { action: 'consent.rejected', actor: 'auth-server', interactionId, details: { evidence: evidence ?? {} }, now }
  return changeStatus(tx, consent, { to: 'RJCT', reason: { code: reasonCode, description }, ...change })
}
