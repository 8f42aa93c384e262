import { type SqlFragment, sql, type Transaction } from '@bankside/service-kit/postgres'
import type { AccessDecision } from '../access/decide-access.ts'
import type { AuditRecord } from '../audit/append-audit.ts'
import { consumeConsent } from '../consents/consume-consent.ts'
import { type AuthorisedConsent, lockAuthorisedConsent } from '../consents/lock-authorised-consent.ts'
import { carryOut } from '../events/carry-out.ts'
import { newPaymentId, type PaymentId } from '../ids.ts'
import { refuse } from '../refusal.ts'
import { type CreditorAccount, type Decision, holdFunds } from './hold-funds.ts'
import { type Identifications, type Initiation, matchInitiation } from './match-initiation.ts'
import type { Payment } from './payment.ts'
import { paymentEvent } from './payment-event.ts'

export type PaymentOrder = Initiation & {
  /** A new one when it is left out. */
  readonly paymentId?: PaymentId
  readonly access: AccessDecision
  /** As the request names it. */
  readonly consentId: string
  readonly interactionId?: string | undefined
  readonly now: Date
}

/** A payment just made, and the request of the consent that it was made under, so that the answer need not read either again. */
export type SubmittedPayment = Payment & { readonly agreed: unknown }

/** How long a payment may wait for its checks. Then it is rejected and the funds are free again. */
export const paymentDeadlineMs = 24 * 60 * 60 * 1000

/**
 * Accepts a payment: consent locked, matched and spent, funds set aside, event and audit written, all in the caller's
 * transaction. What cannot be paid (no funds, over a limit, an account that is closed or never was) is recorded as a rejected payment and returned:
 * that is an outcome, not an error. Money moves later, when the worker has finished the checks.
 *
 * @throws {Refusal} `consent_not_yours` for another consent than the token's (PIS-14), `consent_mismatch`, and what
 *   {@link lockAuthorisedConsent} refuses.
 */
export async function submitPayment(tx: Transaction, order: PaymentOrder): Promise<SubmittedPayment> {
  const { access, now } = order
  if (access.consentId !== order.consentId) refuse('consent_not_yours', 'the token is bound to another consent', { path: 'Data.ConsentId' })
  const consent = await lockAuthorisedConsent(tx, { consentId: access.consentId, clientId: access.clientId, now })
  const identifications = matchInitiation(consent, order)
  const deadlineAt = new Date(now.getTime() + paymentDeadlineMs)
  const { creditor, decision } = await holdFunds(tx, consent, { channel: order.channel, now, expiresAt: deadlineAt })

  const payment = toPayment({ consent, creditor, decision, order, identifications })
  await carryOut(tx, consumeConsent(consent, { interactionId: order.interactionId, now }), {
    statements: [insertPayment(payment, decision, deadlineAt)],
    events: [paymentEvent(payment)],
    records: [submissionRecord(payment, order)],
  })
  return { ...payment, agreed: consent.request }
}

type NewPayment = {
  readonly consent: AuthorisedConsent
  readonly creditor: CreditorAccount
  readonly decision: Decision
  readonly order: PaymentOrder
  readonly identifications: Identifications | undefined
}

function toPayment({ consent, creditor, decision, order, identifications }: NewPayment): Payment {
  const { paymentId: id = newPaymentId() } = order
  const { instruction, endToEnd } = identifications ?? ownIdentifications(id)
  const held = 'holdId' in decision
  return {
    id,
    consentId: consent.id,
    clientId: consent.clientId,
    customerId: consent.customerId,
    channel: order.channel,
    status: held ? 'held' : 'rejected',
    rejectionReason: held ? undefined : decision.rejected,
    limitId: held ? undefined : decision.limitId,
    debtorAccountId: consent.debtorAccountId,
    creditorAccountId: creditor.id,
    creditor: consent.creditor,
    creditorIsOurs: creditor.isOurs,
    amount: consent.amount,
    instructionIdentification: instruction,
    endToEndIdentification: endToEnd,
    reference: consent.reference ?? (order.channel === 'bank_api' ? order.initiation.reference : undefined) ?? '',
    createdAt: order.now,
    statusUpdatedAt: order.now,
  }
}

function insertPayment(payment: Payment, decision: Decision, deadlineAt: Date): SqlFragment {
  const held = 'holdId' in decision
  const createdAt = sql.timestamp(payment.createdAt)
  return sql.fragment`
    insert into payments.payment (
      payment_id, consent_id, client_id, customer_id, channel, status, status_updated_at, rejection_reason, limit_id, debtor_account_id,
      creditor_account_id, creditor_name, creditor_scheme_name, creditor_identification, amount_minor, currency,
      instruction_identification, end_to_end_identification, reference, hold_id, created_at, deadline_at)
    values (
      ${payment.id}, ${payment.consentId}, ${payment.clientId}, ${payment.customerId}, ${payment.channel}, ${payment.status}, ${createdAt},
      ${payment.rejectionReason ?? null}, ${payment.limitId ?? null}, ${payment.debtorAccountId}, ${payment.creditorAccountId}, ${payment.creditor.name},
      ${payment.creditor.schemeName}, ${payment.creditor.identification}, ${payment.amount.minor}, ${payment.amount.currency},
      ${payment.instructionIdentification}, ${payment.endToEndIdentification}, ${payment.reference}, ${held ? decision.holdId : null},
      ${createdAt}, ${held ? sql.timestamp(deadlineAt) : createdAt})`
}

function submissionRecord(payment: Payment, { interactionId, now }: PaymentOrder): AuditRecord {
  const { consentId, customerId, status, rejectionReason: reason = null, limitId: limit } = payment
  const details = { consentId, customerId, status, reason, limit }
  return { actor: payment.clientId, action: 'payment.submitted', subject: payment.id, interactionId, details, now }
}

/** For people to read to each other over the telephone; at most 35 characters (NAT-S5). */
function ownIdentifications(paymentId: PaymentId): Identifications {
  const text = `TRF-${paymentId.slice('pay_'.length, 'pay_'.length + 16).toUpperCase()}`
  return { instruction: text, endToEnd: text }
}
