import type { Transaction } from '@bankside/service-kit/postgres'
import type { AccountId, CustomerId } from '../ids.ts'
import { refuse } from '../refusal.ts'
import type { PaymentConsent } from './consent.ts'
import { unusedPaymentPeriodMs } from './expire-consents.ts'
import { type ConsentSought, lockPaymentConsent } from './get-consent.ts'

declare const authorised: unique symbol
/** Proof, made only by {@link lockAuthorisedConsent}, that a customer authorised this payment and that it is held for this transaction. */
export type AuthorisedConsent = AuthorisedTerms & { readonly [authorised]: true }
type AuthorisedTerms = PaymentConsent & { readonly customerId: CustomerId; readonly debtorAccountId: AccountId; readonly grantId: string }

/**
 * The payment consent that may now be spent. Two that ask at once get it one after the other, and the second finds it used (PIS-15).
 *
 * @throws {Refusal} `consent_not_found`, `consent_not_yours`, `consent_already_used`, `consent_not_authorised`.
 */
export async function lockAuthorisedConsent(
  tx: Transaction,
  { now, ...sought }: ConsentSought & { readonly now: Date },
): Promise<AuthorisedConsent> {
  const consent = await lockPaymentConsent(tx, sought)
  if (consent.status === 'COND') refuse('consent_already_used', 'the consent was used for a payment already')
  const { customerId, debtorAccountId, grantId, authorisedAt } = consent
  if (authorisedAt !== undefined && now.getTime() - authorisedAt.getTime() >= unusedPaymentPeriodMs)
    refuse('consent_not_authorised', 'the payment was not made in time')
  if (consent.status !== 'AUTH' || customerId === undefined || debtorAccountId === undefined || grantId === undefined)
    refuse('consent_not_authorised', `the consent is ${consent.status}`)
  const terms: AuthorisedTerms = { ...consent, customerId, debtorAccountId, grantId }
  return terms as AuthorisedConsent
}
