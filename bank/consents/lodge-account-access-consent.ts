import { sql, type Transaction } from '@bankside/service-kit/postgres'
import { newConsentId } from '../ids.ts'
import { refuse } from '../refusal.ts'
import { tellOfChange } from './change-status.ts'
import type { AccountAccessConsent } from './consent.ts'
import { validatePermissions } from './permission.ts'

export type AccountAccessTerms = {
  readonly permissions: readonly unknown[]
  readonly expiresAt?: Date | undefined
  readonly transactionFrom?: Date | undefined
  readonly transactionTo?: Date | undefined
}

export type AccountAccessRequest = AccountAccessTerms & {
  readonly clientId: string
  /** The body as it was sent. */
  readonly request: unknown
  readonly interactionId?: string | undefined
  readonly now: Date
}

/** A customer has this long to decide. */
export const authorisationPeriodMs = 24 * 60 * 60 * 1000
export const authoriseBefore = (now: Date): Date => new Date(now.getTime() + authorisationPeriodMs)

/**
 * Keeps what a third party wants to read, exactly as asked (CON-04, D15), until a customer decides.
 *
 * @throws {Refusal} `permissions_invalid`, `date_invalid`.
 */
export async function lodgeAccountAccessConsent(tx: Transaction, asked: AccountAccessRequest): Promise<AccountAccessConsent> {
  const permissions = validatePermissions(asked.permissions)
  assertDates(asked, asked.now)
  const { clientId, request, expiresAt, transactionFrom, transactionTo, now } = asked
  const consent: AccountAccessConsent = {
    id: newConsentId(now),
    clientId,
    kind: 'account_access',
    status: 'AWAU',
    statusUpdatedAt: now,
    statusReason: undefined,
    createdAt: now,
    authoriseBefore: authoriseBefore(now),
    request,
    permissions,
    expiresAt,
    transactionFrom,
    transactionTo,
    accountIds: [],
    customerId: undefined,
    authorisedAt: undefined,
    grantId: undefined,
    managedGrantId: undefined,
    managedSince: undefined,
    deletedAt: undefined,
  }
  await tx.query(sql.unsafe`
    insert into consents.consent (
      consent_id, client_id, kind, status, status_updated_at, created_at, authorise_before, request, permissions,
      expires_at, transaction_from, transaction_to)
    values (
      ${consent.id}, ${clientId}, 'account_access', 'AWAU', ${sql.timestamp(now)}, ${sql.timestamp(now)},
      ${sql.timestamp(consent.authoriseBefore)}, ${JSON.stringify(request)}::jsonb, ${sql.array([...permissions], 'text')},
      ${timestamp(expiresAt)}, ${timestamp(transactionFrom)}, ${timestamp(transactionTo)})`)
  await tellOfChange(tx, consent, { action: 'consent.lodged', actor: clientId, interactionId: asked.interactionId, now })
  return consent
}

const timestamp = (time: Date | undefined) => (time === undefined ? null : sql.timestamp(time))

/** A date in the past or a period that ends before it begins (AIS-05). Anything else is kept, however far away. */
export function assertDates({ expiresAt, transactionFrom, transactionTo }: AccountAccessTerms, now: Date): void {
  if (expiresAt !== undefined && expiresAt <= now)
    refuse('date_invalid', 'the expiry is not in the future', { path: 'Data.ExpirationDateTime' })
  if (transactionFrom !== undefined && transactionTo !== undefined && transactionFrom > transactionTo)
    refuse('date_invalid', 'the period ends before it begins', { path: 'Data.TransactionFromDateTime' })
}
