import type { Transaction } from '@bankside/service-kit/postgres'
import type { ConsentId, CustomerId, ManagedGrantId } from '../ids.ts'
import { refuse } from '../refusal.ts'
import { cancelAccess } from './cancel-access.ts'
import type { Consent } from './consent.ts'
import { type ConsentSought, lockConsent } from './get-consent.ts'
import { isManaged } from './managed-grant.ts'

export type Superseding = ConsentSought & {
  readonly managedGrantId: ManagedGrantId
  readonly customerId: CustomerId
  /** The consent that takes its place. */
  readonly by: ConsentId
  readonly interactionId?: string | undefined
  readonly now: Date
}

/**
 * The customer has agreed to other terms under the same managed grant: what was issued under the earlier ones ends (GM-05).
 *
 * @returns the grant, which is free for the other consent.
 *
 * @throws {Refusal} `consent_not_found`, `consent_not_yours` (also for another customer's), `grant_revoked` when the grant is
 *   of another consent by now, or over.
 */
export async function supersedeConsent(
  tx: Transaction,
  { managedGrantId, customerId, by, now, ...order }: Superseding,
): Promise<Pick<Consent, 'managedGrantId' | 'managedSince'>> {
  const consent = await lockConsent(tx, order)
  if (consent.managedGrantId !== managedGrantId || consent.kind !== 'account_access' || !isManaged(consent, now))
    refuse('grant_revoked', 'the managed grant is of another consent, or over')
  if (consent.customerId !== customerId) refuse('consent_not_yours', 'the managed grant is of another customer')
  const reason = { code: 'NARR', description: 'The customer agreed to other terms in its place' }
  const change = { reason, action: 'consent.superseded', actor: customerId, details: { by }, interactionId: order.interactionId, now }
  await cancelAccess(tx, consent, change)
  return { managedGrantId, managedSince: consent.managedSince }
}
