import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type AccountId, type ConsentId, isAccountId, newConsentId } from '../ids.ts'
import type { Currency, Money } from '../money.ts'
import { checkPaymentLimits } from '../payments/payment-limits.ts'
import { refuse } from '../refusal.ts'
import { checkIdentification, type IdentificationPaths } from './account-identification.ts'
import type { AccountIdentification, Creditor, PaymentConsent } from './consent.ts'
import { insertPaymentConsent } from './insert-payment-consent.ts'
import { authoriseBefore } from './lodge-account-access-consent.ts'

export type DomesticPaymentRequest = {
  /** A new one when it is left out. */
  readonly consentId?: ConsentId
  readonly clientId: string
  /** The body as it was sent: what the payment is compared with. */
  readonly request: unknown
  readonly amount: Money
  readonly creditor: Creditor
  readonly debtor?: AccountIdentification | undefined
  readonly reference?: string | undefined
  readonly interactionId?: string | undefined
  readonly now: Date
}

/** Currencies in which the bank keeps accounts and can send money on. */
export const paymentCurrencies: ReadonlySet<Currency> = new Set(['GBP', 'EUR'])

const initiation = 'Data.Initiation'
const pathsIn = (account: string): IdentificationPaths => ({
  schemeName: `${initiation}.${account}.SchemeName`,
  identification: `${initiation}.${account}.Identification`,
})

/**
 * Keeps what a third party wants paid, until a customer decides. What the bank could not carry out is refused here (PIS-06);
 * whether the debtor's account is the customer's, and the creditor's is there, is not told before the customer has decided (PIS-07).
 *
 * @throws {Refusal} `amount_invalid`, `payment_over_limit`, `currency_unsupported`, `scheme_unsupported`, `field_invalid`.
 */
export async function lodgeDomesticPaymentConsent(tx: Transaction, asked: DomesticPaymentRequest): Promise<PaymentConsent> {
  const { clientId, request, amount, creditor, debtor, reference, now } = asked
  if (!paymentCurrencies.has(amount.currency))
    refuse('currency_unsupported', `payments are in ${[...paymentCurrencies].join(' or ')}`, {
      path: `${initiation}.InstructedAmount.Currency`,
    })
  checkPaymentLimits(amount, `${initiation}.InstructedAmount.Amount`)
  checkIdentification(creditor, pathsIn('CreditorAccount'))
  if (debtor !== undefined) checkIdentification(debtor, pathsIn('DebtorAccount'))

  const consent: PaymentConsent = {
    id: asked.consentId ?? newConsentId(now),
    clientId,
    kind: 'domestic_payment',
    status: 'AWAU',
    statusUpdatedAt: now,
    statusReason: undefined,
    createdAt: now,
    authoriseBefore: authoriseBefore(now),
    request,
    amount,
    creditor,
    creditorAccountId: await ourAccount(tx, creditor, amount.currency),
    debtor,
    debtorAccountId: undefined,
    reference,
    customerId: undefined,
    authorisedAt: undefined,
    grantId: undefined,
    managedGrantId: undefined,
    managedSince: undefined,
    deletedAt: undefined,
  }
  await insertPaymentConsent(tx, consent, asked.interactionId)
  return consent
}

/**
 * The creditor's account, when it can be paid here. What is named and cannot (no such account, closed, of another currency)
 * shows when the payment is made: an answer before the customer has decided would tell third parties who banks here.
 */
async function ourAccount(tx: Transaction, creditor: Creditor, currency: Currency): Promise<AccountId | undefined> {
  const { account_id } = await tx.one(sql.type(z.object({ account_id: z.custom<AccountId>(isAccountId).nullable() }))`
    select consents.account_to_credit(${creditor.schemeName}, ${creditor.identification}, ${currency}) as account_id`)
  return account_id ?? undefined
}
