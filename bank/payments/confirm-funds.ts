import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import { getConsent } from '../consents/get-consent.ts'
import { refuse } from '../refusal.ts'

const fundsRow = z.object({ available: z.boolean() })

/**
 * Whether the payment of an authorised consent could be made now (PIS-12). Nothing is reserved by asking.
 *
 * @throws {Refusal} `consent_not_yours`, `consent_not_found`, `consent_not_authorised` in any other state than AUTH.
 */
export async function confirmFunds(
  tx: Transaction,
  { access, consentId }: { readonly access: AccessDecision; readonly consentId: string; readonly now: Date },
): Promise<boolean> {
  if (access.consentId !== consentId) refuse('consent_not_yours', 'the token is bound to another consent')
  const consent = await getConsent(tx, { consentId: access.consentId, clientId: access.clientId })
  if (consent.kind === 'account_access') refuse('token_without_consent', 'the consent is for no payment')
  if (consent.status !== 'AUTH' || consent.debtorAccountId === undefined)
    refuse('consent_not_authorised', `the consent is ${consent.status}`)
  const { available } = await tx.one(sql.type(fundsRow)`
    select status = 'open' and currency = ${consent.amount.currency}
      and posted_minor - held_minor + overdraft_minor >= ${consent.amount.minor} as available
    from ledger.account where account_id = ${consent.debtorAccountId}`)
  return available
}
