import { sql, type Transaction } from '@bankside/service-kit/postgres'
import type { ManagedGrantId } from '../ids.ts'
import type { Consent } from './consent.ts'
import { consentColumns, consentRow, toConsent } from './consent-row.ts'

export type ManagedGrantSought = { readonly managedGrantId: ManagedGrantId; readonly clientId: string; readonly now: Date }

/**
 * The consent that a managed grant stands for at this moment. Undefined when there is none, it is over, or it is of another
 * client: the three are not told apart (GM-11).
 */
export async function findManagedGrant(
  tx: Transaction,
  { managedGrantId, clientId, now }: ManagedGrantSought,
): Promise<Consent | undefined> {
  const row = await tx.maybeOne(sql.type(consentRow)`
    select ${consentColumns} from consents.consent c where c.managed_grant_id = ${managedGrantId} and c.client_id = ${clientId}`)
  const consent = row === null ? undefined : toConsent(row)
  return consent !== undefined && isManaged(consent, now) ? consent : undefined
}

/** A grant is there as long as its consent can be used: one for a payment until it is spent. */
export function isManaged(consent: Consent, now: Date): boolean {
  const expired = consent.kind === 'account_access' && consent.expiresAt !== undefined && consent.expiresAt <= now
  return consent.managedGrantId !== undefined && consent.status === 'AUTH' && consent.deletedAt === undefined && !expired
}
