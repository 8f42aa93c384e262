import { sql, type Transaction } from '@bankside/service-kit/postgres'
import { refuse } from '../refusal.ts'
import { tellOfChange } from './change-status.ts'
import { endGrant } from './end-grant.ts'
import { type ConsentSought, lockConsent } from './get-consent.ts'

/**
 * The third party gives access up (CON-08). The row stays, for the customer's history; for the third party it is gone: a
 * second time finds nothing.
 *
 * @throws {Refusal} `consent_not_found` (also for payments, which cannot be deleted: PIS-18), `consent_not_yours`.
 */
export async function deleteConsent(
  tx: Transaction,
  { now, interactionId, ...sought }: ConsentSought & { readonly interactionId?: string | undefined; readonly now: Date },
): Promise<void> {
  const consent = await lockConsent(tx, sought)
  if (consent.kind !== 'account_access') refuse('consent_not_found', 'no account access consent')
  await tx.query(sql.unsafe`update consents.consent set deleted_at = ${sql.timestamp(now)} where consent_id = ${consent.id}`)
  if (consent.grantId !== undefined) await endGrant(tx, { grantId: consent.grantId, now })
  await tellOfChange(tx, { ...consent, deletedAt: now }, { action: 'consent.deleted', actor: sought.clientId, interactionId, now })
}
