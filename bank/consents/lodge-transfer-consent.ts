import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type AccountId, type BeneficiaryId, type CustomerId, isAccountId, isBeneficiaryId, newConsentId } from '../ids.ts'
import { type Currency, isCurrency, type Money, parseMoney } from '../money.ts'
import { checkPaymentLimits } from '../payments/payment-limits.ts'
import { refuse } from '../refusal.ts'
import { internalScheme } from './account-identification.ts'
import type { Creditor, PaymentConsent } from './consent.ts'
import { insertPaymentConsent } from './insert-payment-consent.ts'
import { authoriseBefore } from './lodge-account-access-consent.ts'
import { parseTransferDetail } from './transfer-detail.ts'

export type TransferRequest = {
  readonly clientId: string
  /** The RAR detail of type `payment_initiation`, as it was sent. */
  readonly detail: unknown
  /** If someone is signed in already. */
  readonly customerId?: CustomerId | undefined
  readonly interactionId?: string | undefined
  readonly now: Date
}

/**
 * Keeps the payment that a first-party app asks its user to authorise (NAT-S4). Whether the accounts are the user's shows when
 * they have signed in. The payee's name comes from the bank's books or the user's list of beneficiaries, never from the app.
 *
 * @throws {Refusal} `field_invalid`, `amount_invalid`, `currency_unsupported`, `payment_over_limit`, `account_not_permitted`.
 */
export async function lodgeTransferConsent(tx: Transaction, asked: TransferRequest): Promise<PaymentConsent> {
  const detail = parseTransferDetail(asked.detail)
  const { amount: decimal, currency } = detail.instructedAmount
  const amount = parseMoney(decimal, currency, 'authorization_details.instructedAmount')
  checkPaymentLimits(amount, 'authorization_details.instructedAmount.amount')
  const debtor = detail.debtorAccount.account_id
  const creditor = detail.creditorAccount.account_id
  if (debtor === creditor) refuse('field_invalid', 'from and to are one account', { path: 'authorization_details.creditorAccount' })

  const payee = await payeeOf(tx, creditor, amount)
  const consent: PaymentConsent = {
    id: newConsentId(asked.now),
    clientId: asked.clientId,
    kind: 'transfer',
    status: 'AWAU',
    statusUpdatedAt: asked.now,
    statusReason: undefined,
    createdAt: asked.now,
    authoriseBefore: authoriseBefore(asked.now),
    request: asked.detail,
    amount,
    creditor: payee.creditor,
    creditorAccountId: payee.accountId,
    debtor: { schemeName: internalScheme, identification: debtor },
    debtorAccountId: undefined,
    reference: detail.remittanceInformation,
    customerId: asked.customerId,
    authorisedAt: undefined,
    grantId: undefined,
    managedGrantId: undefined,
    managedSince: undefined,
    deletedAt: undefined,
  }
  await insertPaymentConsent(tx, consent, asked.interactionId)
  return consent
}

type Payee = { readonly creditor: Creditor; readonly accountId: AccountId | undefined }

function payeeOf(tx: Transaction, id: AccountId | BeneficiaryId, amount: Money): Promise<Payee> {
  return isBeneficiaryId(id) ? payeeOfBeneficiary(tx, id) : payeeOfAccount(tx, id, amount)
}

const accountPayee = z.object({
  account_id: z.custom<AccountId>(isAccountId),
  currency: z.custom<Currency>(isCurrency),
  name: z.string(),
  scheme_name: z.string().nullable(),
  identification: z.string().nullable(),
})

async function payeeOfAccount(tx: Transaction, id: AccountId, amount: Money): Promise<Payee> {
  const account = await tx.maybeOne(sql.type(accountPayee)`
    select account_id, currency, name, scheme_name, identification from consents.payee_of_account(${id})`)
  if (account === null) refuse('account_not_permitted', 'no such account', { path: 'authorization_details.creditorAccount.account_id' })
  if (account.currency !== amount.currency)
    refuse('currency_unsupported', 'the account to pay to is in another currency', {
      path: 'authorization_details.instructedAmount.currency',
    })
  return {
    accountId: account.account_id,
    creditor: {
      name: account.name,
      schemeName: account.scheme_name ?? internalScheme,
      identification: account.identification ?? account.account_id,
    },
  }
}

const beneficiaryPayee = z.object({ name: z.string(), scheme_name: z.string(), identification: z.string() })

async function payeeOfBeneficiary(tx: Transaction, id: BeneficiaryId): Promise<Payee> {
  const found = await tx.maybeOne(sql.type(beneficiaryPayee)`
    select name, scheme_name, identification from customers.beneficiary where beneficiary_id = ${id}`)
  if (found === null || !isBeneficiaryId(id))
    refuse('account_not_permitted', 'no such beneficiary', { path: 'authorization_details.creditorAccount.account_id' })
  return { accountId: undefined, creditor: { name: found.name, schemeName: found.scheme_name, identification: found.identification } }
}
