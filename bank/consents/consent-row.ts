import { sql } from '@bankside/service-kit/postgres'
import { isInstant, isText, isWhole, listOf, oneOf, orNull, type RowIn, rowShape } from '@bankside/service-kit/row-shape'
import { isAccountId, isConsentId, isCustomerId, isManagedGrantId } from '../ids.ts'
import { isCurrency } from '../money.ts'
import type { Consent } from './consent.ts'
import { isPermission } from './permission.ts'

const isAnything = (_value: unknown): _value is unknown => true

export const consentFields = {
  consent_id: isConsentId,
  client_id: isText,
  kind: oneOf(['account_access', 'domestic_payment', 'transfer']),
  status: oneOf(['AWAU', 'AUTH', 'RJCT', 'COND', 'CANC', 'EXPD']),
  status_updated_at: isInstant,
  status_reason_code: orNull(isText),
  status_reason_description: orNull(isText),
  created_at: isInstant,
  authorise_before: isInstant,
  request: isAnything,
  permissions: listOf(isPermission),
  expires_at: orNull(isInstant),
  transaction_from: orNull(isInstant),
  transaction_to: orNull(isInstant),
  amount_minor: orNull(isWhole),
  currency: orNull(isCurrency),
  creditor_name: orNull(isText),
  creditor_scheme_name: orNull(isText),
  creditor_identification: orNull(isText),
  creditor_account_id: orNull(isAccountId),
  debtor_account_id: orNull(isAccountId),
  debtor_scheme_name: orNull(isText),
  debtor_identification: orNull(isText),
  reference: orNull(isText),
  customer_id: orNull(isCustomerId),
  authorised_at: orNull(isInstant),
  grant_id: orNull(isText),
  managed_since: orNull(isInstant),
  managed_grant_id: orNull(isManagedGrantId),
  deleted_at: orNull(isInstant),
  account_ids: listOf(isAccountId),
}
export const consentRow = rowShape(consentFields)
export type ConsentRow = RowIn<typeof consentRow>

/** For a query over `consents.consent` as `c`. */
export const consentColumns = sql.fragment`
  c.consent_id, c.client_id, c.kind, c.status, c.status_updated_at, c.status_reason_code, c.status_reason_description, c.created_at,
  c.authorise_before, c.request, c.permissions, c.expires_at, c.transaction_from, c.transaction_to, c.amount_minor, c.currency,
  c.creditor_name, c.creditor_scheme_name, c.creditor_identification, c.creditor_account_id, c.debtor_account_id, c.debtor_scheme_name,
  c.debtor_identification, c.reference, c.customer_id, c.authorised_at, c.grant_id, c.managed_grant_id, c.managed_since, c.deleted_at,
  array(select ca.account_id from consents.consent_account ca where ca.consent_id = c.consent_id order by ca.account_id) as account_ids`

export function toConsent(row: ConsentRow): Consent {
  const terms = {
    id: row.consent_id,
    clientId: row.client_id,
    status: row.status,
    statusUpdatedAt: row.status_updated_at,
    statusReason:
      row.status_reason_code === null ? undefined : { code: row.status_reason_code, description: row.status_reason_description ?? '' },
    createdAt: row.created_at,
    authoriseBefore: row.authorise_before,
    request: row.request,
    customerId: row.customer_id ?? undefined,
    authorisedAt: row.authorised_at ?? undefined,
    grantId: row.grant_id ?? undefined,
    managedGrantId: row.managed_grant_id ?? undefined,
    managedSince: row.managed_since ?? undefined,
    deletedAt: row.deleted_at ?? undefined,
  }
  if (row.kind === 'account_access')
    return {
      ...terms,
      kind: row.kind,
      permissions: row.permissions,
      expiresAt: row.expires_at ?? undefined,
      transactionFrom: row.transaction_from ?? undefined,
      transactionTo: row.transaction_to ?? undefined,
      accountIds: row.account_ids,
    }
  return { ...terms, kind: row.kind, ...paymentTerms(row) }
}

function paymentTerms(row: ConsentRow) {
  const {
    amount_minor: minor,
    currency,
    creditor_name: name,
    creditor_scheme_name: schemeName,
    creditor_identification: identification,
  } = row
  if (minor === null || currency === null || name === null || schemeName === null || identification === null)
    throw new Error(`payment consent ${row.consent_id} is stored without amount or creditor`)
  return {
    amount: { minor, currency },
    creditor: { name, schemeName, identification },
    creditorAccountId: row.creditor_account_id ?? undefined,
    debtor:
      row.debtor_scheme_name === null || row.debtor_identification === null
        ? undefined
        : { schemeName: row.debtor_scheme_name, identification: row.debtor_identification },
    debtorAccountId: row.debtor_account_id ?? undefined,
    reference: row.reference ?? undefined,
  }
}
