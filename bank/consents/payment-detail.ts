import { type Transaction, z } from '@bankside/service-kit/postgres'
import { type Money, parseMoney } from '../money.ts'
import { checkPaymentLimits } from '../payments/payment-limits.ts'
import { isSchemeText } from '../payments/scheme-text.ts'
import { refuse } from '../refusal.ts'
import { checkIdentification } from './account-identification.ts'
import type { PaymentConsent } from './consent.ts'
import { lodgeDomesticPaymentConsent, paymentCurrencies } from './lodge-domestic-payment-consent.ts'

const text = (most: number) =>
  z.string().min(1).max(most).refine(isSchemeText, 'is blank or holds characters that payment schemes do not carry')
const account = { schemeName: text(70), identification: text(256) }

/**
 * What a third party asks to be paid: the RAR detail of type `payment_initiation`, in the members of the UK's Initiation.
 * Unknown members are refused (RAR-01). An app of the bank has another one of the same name, over the bank's own ids.
 */
const paymentDetail = z.strictObject({
  type: z.literal('payment_initiation'),
  instructionIdentification: text(35),
  endToEndIdentification: text(35),
  instructedAmount: z.strictObject({ amount: z.string(), currency: z.string() }),
  creditorAccount: z.strictObject({ ...account, name: text(350) }),
  debtorAccount: z.strictObject(account).optional(),
  remittanceInformation: z
    .strictObject({ reference: text(35).optional(), unstructured: text(140).optional() })
    .refine(({ reference, unstructured }) => reference !== undefined || unstructured !== undefined, 'says nothing')
    .optional(),
  /** The third party asks to be told which account paid, so that it can refund it. The customer is shown that it does. */
  readRefundAccount: z.boolean().optional(),
})
export type PaymentDetail = z.infer<typeof paymentDetail>

/** @throws {Refusal} `field_invalid`, `amount_invalid`, `currency_unsupported`, `payment_over_limit`, `scheme_unsupported`. */
export function parsePaymentDetail(detail: unknown): PaymentDetail {
  const parsed = paymentDetail.safeParse(detail)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return refuse('field_invalid', issue?.message ?? 'not a payment initiation', { path: issue?.path.join('.') })
  }
  const { creditorAccount, debtorAccount } = parsed.data
  checkPaymentLimits(amountOf(parsed.data), 'instructedAmount')
  checkIdentification(creditorAccount, pathsIn('creditorAccount'))
  if (debtorAccount !== undefined) checkIdentification(debtorAccount, pathsIn('debtorAccount'))
  return parsed.data
}

function amountOf({ instructedAmount: { amount, currency } }: PaymentDetail): Money {
  const money = parseMoney(amount, currency, 'instructedAmount')
  if (!paymentCurrencies.has(money.currency))
    refuse('currency_unsupported', `payments are in ${[...paymentCurrencies].join(' or ')}`, { path: 'instructedAmount' })
  return money
}

const pathsIn = (member: string) => ({ schemeName: `${member}.schemeName`, identification: `${member}.identification` })

export type PaymentDetailOrder = {
  readonly clientId: string
  readonly detail: unknown
  readonly interactionId?: string | undefined
  readonly now: Date
}

/**
 * Keeps what was asked for by detail as the row that the UK API would have made of the same words: the payment is submitted
 * there, and compared with it leaf by leaf (PIS-13).
 *
 * @throws {Refusal} as {@link parsePaymentDetail}.
 */
export function lodgePaymentInitiation(tx: Transaction, { detail, ...order }: PaymentDetailOrder): Promise<PaymentConsent> {
  const asked = parsePaymentDetail(detail)
  const { creditorAccount: creditor, debtorAccount: debtor, remittanceInformation } = asked
  const reference = remittanceInformation?.reference ?? remittanceInformation?.unstructured
  return lodgeDomesticPaymentConsent(tx, { ...order, request: ukRequestOf(asked), amount: amountOf(asked), creditor, debtor, reference })
}

function ukRequestOf(detail: PaymentDetail): object {
  const { creditorAccount, debtorAccount, instructedAmount, remittanceInformation, readRefundAccount } = detail
  const accountOf = ({ schemeName, identification }: { schemeName: string; identification: string }) => ({
    SchemeName: schemeName,
    Identification: identification,
  })
  const Initiation = {
    InstructionIdentification: detail.instructionIdentification,
    EndToEndIdentification: detail.endToEndIdentification,
    InstructedAmount: { Amount: instructedAmount.amount, Currency: instructedAmount.currency },
    ...(debtorAccount && { DebtorAccount: accountOf(debtorAccount) }),
    CreditorAccount: { ...accountOf(creditorAccount), Name: creditorAccount.name },
    ...(remittanceInformation && { RemittanceInformation: remittanceOf(remittanceInformation) }),
  }
  return { Data: { Initiation, ...(readRefundAccount && { ReadRefundAccount: 'Yes' }) }, Risk: {} }
}

const remittanceOf = ({ reference, unstructured }: NonNullable<PaymentDetail['remittanceInformation']>): object => ({
  ...(reference !== undefined && { Structured: [{ CreditorReferenceInformation: { Reference: reference } }] }),
  ...(unstructured !== undefined && { Unstructured: [unstructured] }),
})
