import { sql, type Transaction } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import { appendAudit } from '../audit/append-audit.ts'
import { consumeConsent } from '../consents/consume-consent.ts'
import { type AuthorisedConsent, lockAuthorisedConsent } from '../consents/lock-authorised-consent.ts'
import { type AccountId, type HoldId, newPaymentId, type PaymentId } from '../ids.ts'
import { placeHold } from '../ledger/place-hold.ts'
import { refuse } from '../refusal.ts'
import { type CreditorAccount, findCreditorAccount } from './find-creditor-account.ts'
import { getPayment } from './get-payment.ts'
import { type Identifications, type Initiation, matchInitiation } from './match-initiation.ts'
import type { Payment, RejectionReason } from './payment.ts'
import { reasonOfDebtor } from './reason-of-account.ts'
import { recordPaymentEvent } from './record-payment-event.ts'

export type PaymentOrder = Initiation & {
  readonly access: AccessDecision
  /** As the request names it. */
  readonly consentId: string
  readonly interactionId?: string | undefined
  readonly now: Date
}

/** How long a payment may wait for its checks. Then it is rejected and the funds are free again. */
export const paymentDeadlineMs = 24 * 60 * 60 * 1000

/**
 * Accepts a payment: consent locked, matched and spent, funds set aside, event and audit written, all in the caller's
 * transaction. What cannot be paid (no funds, an account that is closed or never was) is recorded as a rejected payment and returned:
 * that is an outcome, not an error. Money moves later, when the worker has finished the checks.
 *
 * @throws {Refusal} `consent_not_yours` for another consent than the token's (PIS-14), `consent_mismatch`, and what
 *   {@link lockAuthorisedConsent} refuses.
 */
export async function submitPayment(tx: Transaction, order: PaymentOrder): Promise<Payment> {
  const { access, now } = order
  if (access.consentId !== order.consentId) refuse('consent_not_yours', 'the token is bound to another consent', { path: 'Data.ConsentId' })
  const consent = await lockAuthorisedConsent(tx, { consentId: access.consentId, clientId: access.clientId, now })
  const identifications = matchInitiation(consent, order)
  await consumeConsent(tx, consent, { interactionId: order.interactionId, now })

  const paymentId = newPaymentId()
  const creditor = await findCreditorAccount(tx, {
    ...consent.creditor,
    accountId: consent.creditorAccountId,
    currency: consent.amount.currency,
  })
  if (creditor.id === consent.debtorAccountId) refuse('account_not_usable', 'a payment is between two accounts')
  const decision = await decide(tx, consent, creditor, now)
  await insertPayment(tx, {
    paymentId,
    consent,
    creditor,
    decision,
    order,
    identifications: identifications ?? ownIdentifications(paymentId),
  })

  const payment = await getPayment(tx, { paymentId, clientId: consent.clientId })
  await recordPaymentEvent(tx, payment, now)
  await appendAudit(tx, {
    actor: payment.clientId,
    action: 'payment.submitted',
    subject: payment.id,
    interactionId: order.interactionId,
    details: {
      consentId: payment.consentId,
      customerId: payment.customerId,
      status: payment.status,
      reason: payment.rejectionReason ?? null,
    },
    now,
  })
  return payment
}

type Decision = { readonly holdId: HoldId; readonly deadlineAt: Date } | { readonly rejected: RejectionReason }

async function decide(tx: Transaction, consent: AuthorisedConsent, creditor: CreditorAccount, now: Date): Promise<Decision> {
  if (creditor.isMissing) return { rejected: 'AC01' }
  if (creditor.status === 'closed') return { rejected: 'AC07' }
  if (creditor.currency !== consent.amount.currency) return { rejected: 'AC11' }
  const deadlineAt = new Date(now.getTime() + paymentDeadlineMs)
  const outcome = await placeHold(tx, { accountId: consent.debtorAccountId, amount: consent.amount, expiresAt: deadlineAt, now })
  if ('held' in outcome) return { holdId: outcome.held, deadlineAt }
  return { rejected: outcome.declined === 'insufficient_funds' ? 'AM04' : await reasonOfDebtor(tx, consent.debtorAccountId) }
}

type NewPayment = {
  readonly paymentId: PaymentId
  readonly consent: AuthorisedConsent
  readonly creditor: { readonly id: AccountId }
  readonly decision: Decision
  readonly order: PaymentOrder
  readonly identifications: Identifications
}

async function insertPayment(
  tx: Transaction,
  { paymentId, consent, creditor, decision, order, identifications }: NewPayment,
): Promise<void> {
  const now = sql.timestamp(order.now)
  const held = 'holdId' in decision
  const reference = consent.reference ?? (order.channel === 'bank_api' ? order.initiation.reference : undefined) ?? ''
  await tx.query(sql.unsafe`
    insert into payments.payment (
      payment_id, consent_id, client_id, customer_id, channel, status, status_updated_at, rejection_reason, debtor_account_id,
      creditor_account_id, creditor_name, creditor_scheme_name, creditor_identification, amount_minor, currency,
      instruction_identification, end_to_end_identification, reference, hold_id, created_at, deadline_at)
    values (
      ${paymentId}, ${consent.id}, ${consent.clientId}, ${consent.customerId}, ${order.channel}, ${held ? 'held' : 'rejected'}, ${now},
      ${held ? null : decision.rejected}, ${consent.debtorAccountId}, ${creditor.id}, ${consent.creditor.name}, ${consent.creditor.schemeName},
      ${consent.creditor.identification}, ${consent.amount.minor}, ${consent.amount.currency}, ${identifications.instruction},
      ${identifications.endToEnd}, ${reference}, ${held ? decision.holdId : null}, ${now}, ${held ? sql.timestamp(decision.deadlineAt) : now})`)
}

/** For people to read to each other over the telephone; at most 35 characters (NAT-S5). */
function ownIdentifications(paymentId: PaymentId): Identifications {
  const text = `TRF-${paymentId.slice('pay_'.length, 'pay_'.length + 16).toUpperCase()}`
  return { instruction: text, endToEnd: text }
}
