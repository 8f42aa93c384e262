import { createHash } from 'node:crypto'
import { sql, type Transaction } from '@bankside/service-kit/postgres'
import { canonicalJson } from '../idempotency/canonical-json.ts'
import { tellOfChange } from './change-status.ts'
import type { PaymentConsent } from './consent.ts'

/** Stores a new payment consent and tells of it. What is in it was checked by the act that made it. */
export async function insertPaymentConsent(tx: Transaction, consent: PaymentConsent, interactionId: string | undefined): Promise<void> {
  await tx.query(sql.unsafe`
    insert into consents.consent (
      consent_id, client_id, kind, status, status_updated_at, created_at, authorise_before, request, permissions, amount_minor, currency,
      creditor_name, creditor_scheme_name, creditor_identification, creditor_account_id, debtor_scheme_name, debtor_identification,
      reference, customer_id)
    values (
      ${consent.id}, ${consent.clientId}, ${consent.kind}, ${consent.status}, ${sql.timestamp(consent.statusUpdatedAt)},
      ${sql.timestamp(consent.createdAt)}, ${sql.timestamp(consent.authoriseBefore)}, ${JSON.stringify(consent.request)}::jsonb, '{}',
      ${consent.amount.minor}, ${consent.amount.currency}, ${consent.creditor.name}, ${consent.creditor.schemeName},
      ${consent.creditor.identification}, ${consent.creditorAccountId ?? null}, ${consent.debtor?.schemeName ?? null},
      ${consent.debtor?.identification ?? null}, ${consent.reference ?? null}, ${consent.customerId ?? null})`)
  // What the customer will agree to is on record from the beginning: a proof leads from here to the entry.
  const { minor, currency } = consent.amount
  const requestHash = createHash('sha256').update(canonicalJson(consent.request)).digest('base64url')
  const details = { amountMinor: String(minor), currency, requestHash }
  await tellOfChange(tx, consent, { action: 'consent.lodged', actor: consent.clientId, interactionId, details, now: consent.createdAt })
}
