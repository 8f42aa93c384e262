import { sql, type Transaction } from '@bankside/service-kit/postgres'
import { isText, oneOf, type RowIn, rowShape } from '@bankside/service-kit/row-shape'
import { type ClientStatus, clientStatuses } from '../clients/client.ts'
import type { CustomerId } from '../ids.ts'
import { refuse } from '../refusal.ts'
import type { Consent } from './consent.ts'
import { consentColumns, consentFields, toConsent } from './consent-row.ts'

/** A consent as its customer sees it on the dashboard. */
export type CustomerConsent = {
  readonly consent: Consent
  readonly clientName: string
  /** Blocked by the bank for now, gone by itself, or without a licence: whatever its consents say, it can use none. */
  readonly clientStatus: ClientStatus
  /** Whether the third party can use it, as soon as it is not blocked. Everything else is history. */
  readonly active: boolean
}

/** The latest ones: nobody reads further. */
export const listedConsentsLimit = 200

/** All that a customer ever gave to third parties, latest first (DB-02, DB-06): not the transfers of the bank's own apps. */
export async function listCustomerConsents(
  tx: Transaction,
  { customerId, now }: { readonly customerId: CustomerId; readonly now: Date },
): Promise<readonly CustomerConsent[]> {
  const rows = await tx.any(sql.type(customerConsentRow)`
    ${customerConsents(customerId)} order by c.authorised_at desc, c.consent_id limit ${listedConsentsLimit}`)
  return rows.map((row) => toCustomerConsent(row, now))
}

/** @throws {Refusal} `consent_not_found`, also for another customer's. */
export async function getCustomerConsent(
  tx: Transaction,
  { consentId, customerId, now }: { readonly consentId: string; readonly customerId: CustomerId; readonly now: Date },
): Promise<CustomerConsent> {
  const row = await tx.maybeOne(sql.type(customerConsentRow)`${customerConsents(customerId)} and c.consent_id = ${consentId}`)
  if (row === null) refuse('consent_not_found', 'no such consent of this customer')
  return toCustomerConsent(row, now)
}

const customerConsentRow = rowShape({ ...consentFields, client_name: isText, client_status: oneOf(clientStatuses) })

const customerConsents = (customerId: CustomerId) => sql.fragment`
  select ${consentColumns}, cl.name as client_name, cl.status as client_status
  from consents.consent c join clients.client cl on cl.client_id = c.client_id
  where c.customer_id = ${customerId} and c.authorised_at is not null and c.kind <> 'transfer'`

function toCustomerConsent(row: RowIn<typeof customerConsentRow>, now: Date): CustomerConsent {
  const consent = toConsent(row)
  const expired = consent.kind === 'account_access' && consent.expiresAt !== undefined && consent.expiresAt <= now
  const gone = row.client_status === 'deleted' || row.client_status === 'withdrawn'
  const active = consent.status === 'AUTH' && consent.deletedAt === undefined && !expired && !gone
  return { consent, clientName: row.client_name, clientStatus: row.client_status, active }
}
