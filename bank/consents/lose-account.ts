import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type AccountId, type ConsentId, isConsentId } from '../ids.ts'
import { cancelAccess } from './cancel-access.ts'
import { changeStatus, tellOfChange } from './change-status.ts'
import { endGrant } from './end-grant.ts'
import { lockAnyConsent } from './get-consent.ts'

type Loss = { readonly accountId: AccountId; readonly actor: string; readonly now: Date }

const foundRow = z.object({ consent_id: z.custom<ConsentId>(isConsentId) })

/** The consents that hold an account, held until the transaction ends. */
export async function lockConsentsOf(tx: Transaction, accountId: AccountId): Promise<readonly ConsentId[]> {
  const found = await tx.any(sql.type(foundRow)`
    select c.consent_id from consents.consent c
    where (c.status = 'AUTH' and c.debtor_account_id = ${accountId})
      or c.consent_id in (select consent_id from consents.consent_account where account_id = ${accountId})
    order by c.consent_id for no key update`)
  return found.map(({ consent_id }) => consent_id)
}

/**
 * Takes an account out of consents that are locked. The others of a consent stay (CON-10); one that has no account left is
 * cancelled, and a payment that waits to be made from it is rejected.
 */
export async function loseAccount(tx: Transaction, consentIds: readonly ConsentId[], loss: Loss): Promise<void> {
  for (const consentId of consentIds) await loseFrom(tx, consentId, loss)
}

async function loseFrom(tx: Transaction, consentId: ConsentId, { accountId, actor, now }: Loss): Promise<void> {
  const consent = await lockAnyConsent(tx, consentId)
  if (consent === undefined || consent.deletedAt !== undefined) return
  const telling = { actor, now, details: { account: accountId } }
  if (consent.kind !== 'account_access') {
    if (consent.status !== 'AUTH') return
    const reason = { code: 'AC04', description: 'The account to pay from is closed' }
    await changeStatus(tx, consent, { ...telling, to: 'RJCT', reason, action: 'consent.rejected' })
    if (consent.grantId !== undefined) await endGrant(tx, { grantId: consent.grantId, now })
    return
  }
  await tx.query(sql.unsafe`delete from consents.consent_account where consent_id = ${consentId} and account_id = ${accountId}`)
  const left = { ...consent, accountIds: consent.accountIds.filter((id) => id !== accountId) }
  await tellOfChange(tx, left, { ...telling, action: 'consent.account_closed' })
  if (left.accountIds.length > 0 || consent.status !== 'AUTH') return
  const reason = { code: 'AC04', description: 'The last account of this access is closed' }
  await cancelAccess(tx, left, { ...telling, reason, action: 'consent.revoked' })
}
