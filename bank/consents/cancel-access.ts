import { sql, type Transaction } from '@bankside/service-kit/postgres'
import { type ConsentChange, changeStatus } from './change-status.ts'
import type { AccountAccessConsent } from './consent.ts'
import { endGrant } from './end-grant.ts'

/**
 * An access that was given ends, whoever ended it: nothing that was issued for it works any more, and it is no managed grant
 * any more, also not when the customer gives it again. The consent is locked by whoever calls.
 *
 * @throws {Refusal} `consent_not_authorised` when it is none that was given.
 */
export async function cancelAccess(
  tx: Transaction,
  consent: AccountAccessConsent,
  change: Omit<ConsentChange, 'to'>,
): Promise<AccountAccessConsent> {
  if (consent.managedGrantId !== undefined)
    await tx.query(sql.unsafe`update consents.consent set managed_grant_id = null where consent_id = ${consent.id}`)
  const cancelled = await changeStatus(tx, { ...consent, managedGrantId: undefined }, { ...change, to: 'CANC' })
  if (consent.grantId !== undefined) await endGrant(tx, { grantId: consent.grantId, now: change.now })
  return cancelled
}
