import type { Transaction } from '@bankside/service-kit/postgres'
import type { Consent } from './consent.ts'
import { type ConsentSought, readConsent } from './get-consent.ts'

/**
 * The consent that an authorization request is about, if the customer may now be asked for it: of this client, and waiting,
 * or open to renewal (CON-06, CON-07). Why not is not told: to the client it is one and the same `invalid_request`.
 */
export async function findIntent(
  tx: Transaction,
  { consentId, clientId, now }: ConsentSought & { readonly now: Date },
): Promise<Consent | undefined> {
  const consent = await readConsent(tx, consentId)
  return consent !== undefined && consent.clientId === clientId && mayBeAuthorised(consent, now) ? consent : undefined
}

/** Rejected, consumed, expired and deleted consents never start another authorization (RW-TOK-06). */
export function mayBeAuthorised(consent: Consent, now: Date): boolean {
  if (consent.deletedAt !== undefined) return false
  if (consent.kind === 'account_access' && consent.expiresAt !== undefined && consent.expiresAt <= now) return false
  if (consent.status === 'AWAU') return now < consent.authoriseBefore
  return consent.kind === 'account_access' && (consent.status === 'AUTH' || consent.status === 'CANC')
}
