import { sql, z } from '@bankside/service-kit/postgres'
import type { AccountId, ClientId, ConsentId, CustomerId, HoldId, LimitId, PaymentId } from '../ids.ts'
import { type Currency, isCurrency, type Money } from '../money.ts'

/**
 * One payment, whichever API it came by. `held`: funds are set aside, checks run. `posted`: both balances have moved.
 * `rejected`: it did not and will not happen. It leaves `held` once and never moves again.
 */
export type Payment = {
  readonly id: PaymentId
  readonly consentId: ConsentId
  readonly clientId: ClientId
  readonly customerId: CustomerId
  readonly channel: PaymentChannel
  readonly status: PaymentStatus
  /** Where a held payment stands. Undefined for one that is posted or rejected. */
  readonly step: PaymentStep | undefined
  readonly rejectionReason: RejectionReason | undefined
  /** The limit that refused it. */
  readonly limitId: LimitId | undefined
  readonly debtorAccountId: AccountId
  /** Of a payment rejected with AC01: our settlement account, which received nothing. */
  readonly creditorAccountId: AccountId
  readonly creditor: { readonly name: string; readonly schemeName: string; readonly identification: string }
  /** False when the creditor's account is at another bank: then `creditorAccountId` is our settlement account. */
  readonly creditorIsOurs: boolean
  readonly amount: Money
  readonly instructionIdentification: string
  readonly endToEndIdentification: string
  readonly reference: string
  readonly createdAt: Date
  readonly statusUpdatedAt: Date
}

export type PaymentChannel = 'uk_v4' | 'bank_api'
export const isPaymentChannel = (text: string): text is PaymentChannel => text === 'uk_v4' || text === 'bank_api'
export type PaymentStatus = 'held' | 'posted' | 'rejected'
/** `checks` are run, or a person decides (`review`), then it is `cleared` to be posted. */
export type PaymentStep = 'checks' | 'review' | 'cleared'
/** ISO 20022 ExternalStatusReason1Code, as far as we use it. Third parties read the words: of a limit they learn neither amount nor who set it. */
export type RejectionReason = keyof typeof rejectionReasons
export const rejectionReasons = {
  AB03: 'the payment could not be completed in time',
  AC01: 'there is no account to pay to with this number',
  AC04: 'the account to pay from is closed',
  AC06: 'the account to pay from is blocked',
  AC07: 'the account to pay to is closed',
  AC11: 'the account to pay to is in another currency',
  AM02: 'more than may be paid from the account at once',
  AM04: 'not enough funds',
  AM14: 'more than may be paid from the account in this time',
  // Of the UK's own code set: the actual reason is not disclosed, for whoever asks might learn how not to be found.
  U042: 'the bank does not make this payment after its checks',
} as const

export const isRejectionReason = (text: unknown): text is RejectionReason =>
  typeof text === 'string' && Object.hasOwn(rejectionReasons, text)

export const paymentRow = z.object({
  payment_id: z.custom<PaymentId>(),
  consent_id: z.custom<ConsentId>(),
  client_id: z.string(),
  customer_id: z.custom<CustomerId>(),
  channel: z.enum(['uk_v4', 'bank_api']),
  status: z.enum(['held', 'posted', 'rejected']),
  step: z.enum(['checks', 'review', 'cleared']).nullable(),
  status_updated_at: z.date(),
  rejection_reason: z.custom<RejectionReason>(isRejectionReason).nullable(),
  limit_id: z.custom<LimitId>().nullable(),
  debtor_account_id: z.custom<AccountId>(),
  creditor_account_id: z.custom<AccountId>(),
  creditor_name: z.string(),
  creditor_scheme_name: z.string(),
  creditor_identification: z.string(),
  creditor_is_ours: z.boolean(),
  amount_minor: z.bigint(),
  currency: z.custom<Currency>(isCurrency),
  instruction_identification: z.string(),
  end_to_end_identification: z.string(),
  reference: z.string(),
  hold_id: z.custom<HoldId>().nullable(),
  created_at: z.date(),
})
export type PaymentRow = z.infer<typeof paymentRow>

/** For a query over `payments.payment` as `p`. */
export const paymentColumns = sql.fragment`
  p.payment_id, p.consent_id, p.client_id, p.customer_id, p.channel, p.status, p.step, p.status_updated_at, p.rejection_reason, p.limit_id,
  p.debtor_account_id, p.creditor_account_id, p.creditor_name, p.creditor_scheme_name, p.creditor_identification,
  (select a.kind = 'customer' or a.account_number is not null from ledger.account a where a.account_id = p.creditor_account_id) as creditor_is_ours,
  p.amount_minor, p.currency, p.instruction_identification, p.end_to_end_identification, p.reference, p.hold_id, p.created_at`

export function toPayment(row: Omit<PaymentRow, 'hold_id'>): Payment {
  return {
    id: row.payment_id,
    consentId: row.consent_id,
    clientId: row.client_id,
    customerId: row.customer_id,
    channel: row.channel,
    status: row.status,
    step: row.step ?? undefined,
    rejectionReason: row.rejection_reason ?? undefined,
    limitId: row.limit_id ?? undefined,
    debtorAccountId: row.debtor_account_id,
    creditorAccountId: row.creditor_account_id,
    creditor: { name: row.creditor_name, schemeName: row.creditor_scheme_name, identification: row.creditor_identification },
    creditorIsOurs: row.creditor_is_ours,
    amount: { minor: row.amount_minor, currency: row.currency },
    instructionIdentification: row.instruction_identification,
    endToEndIdentification: row.end_to_end_identification,
    reference: row.reference,
    createdAt: row.created_at,
    statusUpdatedAt: row.status_updated_at,
  }
}
