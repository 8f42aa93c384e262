import { Refusal } from '@bankside/service-kit/refusal'
import { unusedPaymentPeriodMs } from '../consents/expire-consents.ts'
import { keyRememberedMs, keyReused } from '../idempotency/claim-key.ts'
import {
  type AccountId,
  type ConsentId,
  type CustomerId,
  type LimitId,
  newAuditRecordId,
  newEntryId,
  newEventId,
  newHoldId,
  newPaymentId,
  type PaymentId,
} from '../ids.ts'
import type { Currency } from '../money.ts'
import type { BankRefusal } from '../refusal.ts'
import { type PaymentRow, type PaymentStatus, type RejectionReason, toPayment } from './payment.ts'
import type { Initiation, PaymentOrder, Submitted } from './payment-order.ts'

/** How long a payment may wait for its checks. Then it is rejected and the funds are free again. */
export const paymentDeadlineMs = 24 * 60 * 60 * 1000

/** An order with the id that its payment will have, in however many calls it is asked for. */
export type Submission = { readonly order: PaymentOrder; readonly consentId: ConsentId; readonly paymentId: PaymentId }

export const toSubmission = (order: PaymentOrder, consentId: ConsentId, now: Date): Submission => ({
  order,
  consentId,
  paymentId: newPaymentId(now),
})

export const submissionStatement = {
  name: 'submit_payments',
  text: `select * from payments.submit($1::jsonb, $2::text[], $3::timestamptz, $4::timestamptz, $5::timestamptz, $6::timestamptz)`,
}

/** The values of one call for all of these, in this order. */
export function submissionValues(submissions: readonly Submission[], now: Date): readonly string[] {
  const at = (ms: number) => new Date(now.getTime() + ms).toISOString()
  const rows = submissions.map((submission, index) => ({ position: index + 1, ...toRow(submission, now) }))
  // Neither a comma nor a quotation mark is in an id.
  const consentIds = `{${submissions.map(({ consentId }) => consentId).join(',')}}`
  return [JSON.stringify(rows), consentIds, at(0), at(-unusedPaymentPeriodMs), at(-keyRememberedMs), at(paymentDeadlineMs)]
}

function toRow({ order, consentId, paymentId }: Submission, now: Date): object {
  const { access, key, interactionId, channel } = order
  return {
    payment_id: paymentId,
    hold_id: newHoldId(now),
    entry_id: newEntryId(now),
    client_id: access.clientId,
    consent_id: consentId,
    token_hash: access.tokenHash?.toString('hex'),
    channel,
    initiation: asCompared(order),
    own_identification: channel === 'bank_api' ? ownIdentification(paymentId) : undefined,
    interaction_id: interactionId,
    method: key.method,
    endpoint: key.endpoint,
    key: key.key,
    request_hash: key.requestHash,
    consumed_event_id: newEventId(now),
    payment_event_id: newEventId(now),
    consumed_record_id: newAuditRecordId(now),
    payment_record_id: newAuditRecordId(now),
  }
}

function asCompared({ channel, initiation }: Initiation): unknown {
  if (channel === 'uk_v4') return initiation
  const { debtorAccountId, creditorAccountId, amount, reference } = initiation
  const accounts = { debtor_account_id: debtorAccountId, creditor_account_id: creditorAccountId }
  return { ...accounts, amount_minor: String(amount.minor), currency: amount.currency, reference }
}

/** For people to read to each other over the telephone; at most 35 characters (NAT-S5). An id begins with its time, so its end tells it apart. */
const ownIdentification = (paymentId: PaymentId) => `TRF-${paymentId.slice(-16).toUpperCase()}`

const refusals = {
  account_not_usable: 'a payment is between two accounts',
  client_blocked: 'the client is not active',
  consent_already_used: 'the consent was used for a payment already',
  consent_mismatch: 'what is asked differs from the consent',
  consent_not_authorised: 'the consent is not authorised, or was not used in time',
  consent_not_found: 'no such consent',
  consent_not_yours: 'the consent is of another client',
  grant_revoked: 'the grant behind the token is gone',
} as const satisfies Partial<Record<BankRefusal, string>>
type RefusalWord = keyof typeof refusals

/** Null in all but the first two where none was made. Posted is what nothing had to wait for. */
export type SubmissionRow = {
  /** Why not. */
  readonly word: RefusalWord | 'replayed' | 'idempotency_key_reused' | null
  readonly resource_id: PaymentId
  readonly status: PaymentStatus
  readonly rejection_reason: RejectionReason | null
  readonly limit_id: LimitId | null
  readonly customer_id: CustomerId
  readonly debtor_account_id: AccountId
  readonly creditor_account_id: AccountId
  readonly creditor_is_ours: boolean
  readonly creditor_name: string
  readonly creditor_scheme_name: string
  readonly creditor_identification: string
  readonly amount_minor: bigint
  readonly currency: Currency
  readonly instruction_identification: string
  readonly end_to_end_identification: string
  readonly reference: string
  readonly asks_for_refund: boolean | null
}

/** What came of a submission. */
export function outcomeOf(submission: Submission, row: SubmissionRow, now: Date): Submitted | Refusal {
  const { word } = row
  if (word === 'replayed') return { replayed: row.resource_id }
  if (word === 'idempotency_key_reused') return keyReused()
  if (word !== null) return new Refusal<BankRefusal>(word, refusals[word])
  return { made: toPayment(rowOf(submission, row, now)), asksForRefund: row.asks_for_refund === true }
}

/** What was written: of the order, and of what the call found out. */
function rowOf({ order, consentId, paymentId }: Submission, row: SubmissionRow, now: Date): Omit<PaymentRow, 'hold_id'> {
  const ofOrder = { payment_id: paymentId, consent_id: consentId, client_id: order.access.clientId, channel: order.channel }
  const step = row.status === 'held' ? 'checks' : null
  return { ...row, ...ofOrder, step, created_at: now, status_updated_at: now }
}
