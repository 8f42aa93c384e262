import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type ConsentId, isConsentId } from '../ids.ts'
import { cancelAccess } from './cancel-access.ts'
import { changeStatus } from './change-status.ts'
import { endGrant } from './end-grant.ts'
import { type ConsentSought, lockConsent } from './get-consent.ts'

export type GivingUp = ConsentSought & {
  /** By which door: what the audit log says. */
  readonly through: 'grant_management' | 'token_revocation'
  readonly interactionId?: string | undefined
  readonly now: Date
}

/**
 * The third party gives up what it was allowed, without a word about the consent itself: by its managed grant, or by its
 * refresh token. All that was issued ends at once (GM-09, GM-12). An access may be given again by the customer; a payment that
 * was not made is off. What is over already stays as it is.
 *
 * @throws {Refusal} `consent_not_found`, `consent_not_yours`.
 */
export async function giveUpConsent(tx: Transaction, { through, interactionId, now, ...sought }: GivingUp): Promise<void> {
  const consent = await lockConsent(tx, sought)
  if (consent.status !== 'AUTH') return
  const reason = { code: 'CN01', description: 'The third party gave up what it was allowed' }
  const change = { reason, action: 'consent.given_up', actor: sought.clientId, details: { through }, interactionId, now }
  if (consent.kind === 'account_access') return void (await cancelAccess(tx, consent, change))
  await changeStatus(tx, consent, { ...change, to: 'RJCT' })
  if (consent.grantId !== undefined) await endGrant(tx, { grantId: consent.grantId, now })
}

/** The consent that a grant of the authorization server is for: undefined for an app of the bank that only signed in. */
export async function consentOfGrant(
  tx: Transaction,
  { grantId, clientId }: { readonly grantId: string; readonly clientId: string },
): Promise<ConsentId | undefined> {
  const row = await tx.maybeOne(sql.type(z.object({ consent_id: z.custom<ConsentId>(isConsentId) }))`
    select consent_id from consents.consent where grant_id = ${grantId} and client_id = ${clientId} and kind <> 'transfer'`)
  return row?.consent_id
}
