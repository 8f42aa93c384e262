import { sql, z } from '@bankside/service-kit/postgres'
import { type AccountId, type ConsentId, isAccountId, isConsentId, isManagedGrantId, type ManagedGrantId } from '../ids.ts'
import { type Currency, isCurrency } from '../money.ts'
import type { Consent } from './consent.ts'
import { isPermission, type Permission } from './permission.ts'

const accountId = z.custom<AccountId>(isAccountId)

export const consentRow = z.object({
  consent_id: z.custom<ConsentId>(isConsentId),
  client_id: z.string(),
  kind: z.enum(['account_access', 'domestic_payment', 'transfer']),
  status: z.enum(['AWAU', 'AUTH', 'RJCT', 'COND', 'CANC', 'EXPD']),
  status_updated_at: z.date(),
  status_reason_code: z.string().nullable(),
  status_reason_description: z.string().nullable(),
  created_at: z.date(),
  authorise_before: z.date(),
  request: z.unknown(),
  permissions: z.array(z.custom<Permission>(isPermission)),
  expires_at: z.date().nullable(),
  transaction_from: z.date().nullable(),
  transaction_to: z.date().nullable(),
  amount_minor: z.bigint().nullable(),
  currency: z.custom<Currency>(isCurrency).nullable(),
  creditor_name: z.string().nullable(),
  creditor_scheme_name: z.string().nullable(),
  creditor_identification: z.string().nullable(),
  creditor_account_id: accountId.nullable(),
  debtor_account_id: accountId.nullable(),
  debtor_scheme_name: z.string().nullable(),
  debtor_identification: z.string().nullable(),
  reference: z.string().nullable(),
  customer_id: z.templateLiteral(['cus_', z.string()]).nullable(),
  authorised_at: z.date().nullable(),
  grant_id: z.string().nullable(),
  managed_since: z.date().nullable(),
  managed_grant_id: z.custom<ManagedGrantId>(isManagedGrantId).nullable(),
  deleted_at: z.date().nullable(),
  account_ids: z.array(accountId),
})
export type ConsentRow = z.infer<typeof consentRow>

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
