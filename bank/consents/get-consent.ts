import { gatheredRows } from '@bankside/service-kit/gathered-rows'
import { sql, type Transaction, withValues } from '@bankside/service-kit/postgres'
import { isNumber, rowShape } from '@bankside/service-kit/row-shape'
import { refuse } from '../refusal.ts'
import type { Consent, PaymentConsent } from './consent.ts'
import { consentColumns, consentFields, consentRow, toConsent } from './consent-row.ts'

/**
 * A consent for the client that lodged it, and for nobody else (CON-03).
 *
 * @throws {Refusal} `consent_not_found` for an unknown or deleted one, `consent_not_yours`.
 */
export async function getConsent(tx: Transaction, sought: ConsentSought): Promise<Consent> {
  return checkOwner(await readConsent(tx, sought.consentId), sought)
}

/** The same, held until the transaction ends: whatever decides on a consent decides on this. */
export async function lockConsent(tx: Transaction, sought: ConsentSought): Promise<Consent> {
  return checkOwner(await lockAnyConsent(tx, sought.consentId), sought)
}

export type ConsentSought = { readonly consentId: string; readonly clientId: string }

/** Any consent, whoever asks. The caller checks whose it is. */
export async function readConsent(tx: Transaction, consentId: string): Promise<Consent | undefined> {
  const row = await findConsent(tx, consentId)
  return row && toConsent(row)
}

const placedRow = rowShape({ ...consentFields, place: isNumber })

/** Most are asked for alone: that costs PostgreSQL half as much as one of several. */
const queryForOne = sql.type(placedRow)`
  select 1 as place, ${consentColumns} from consents.consent c where c.consent_id = ${null}`

/** Put like this, it is planned once, and goes through the key however small the table is. */
const query = sql.type(placedRow)`
  select asked.place::int as place, consent.*
  from unnest((select ${null}::text[])) with ordinality as asked (consent_id, place)
  cross join lateral (select ${consentColumns} from consents.consent c where c.consent_id = asked.consent_id offset 0) as consent`

const findConsent = gatheredRows((tx, consentIds: readonly string[]) => {
  const [only] = consentIds
  return tx.any(only !== undefined && consentIds.length === 1 ? withValues(queryForOne, [only]) : withValues(query, [consentIds]))
})

/**
 * The same, held until the transaction ends. A statement that waits for the lock sees the row as the other one left it, but the
 * row's accounts as they were before: one that has been authorised, and so may have some, is read once more.
 */
export async function lockAnyConsent(tx: Transaction, consentId: string): Promise<Consent | undefined> {
  const row = await tx.maybeOne(sql.type(consentRow)`
    select ${consentColumns} from consents.consent c where c.consent_id = ${consentId} for no key update of c`)
  if (row === null) return undefined
  return row.authorised_at === null ? toConsent(row) : readConsent(tx, consentId)
}

/**
 * The same in one statement, for a consent that has no accounts to read: one for a payment.
 *
 * @throws {Refusal} `consent_not_found`, `consent_not_yours`, `consent_not_authorised` for an account-access consent.
 */
export async function lockPaymentConsent(tx: Transaction, sought: ConsentSought): Promise<PaymentConsent> {
  const row = await tx.maybeOne(sql.type(consentRow)`
    select ${consentColumns} from consents.consent c where c.consent_id = ${sought.consentId} for no key update of c`)
  const consent = checkOwner(row === null ? undefined : toConsent(row), sought)
  if (consent.kind === 'account_access') refuse('consent_not_authorised', 'the consent is not for a payment')
  return consent
}

function checkOwner(consent: Consent | undefined, { clientId }: ConsentSought): Consent {
  if (consent === undefined) refuse('consent_not_found', 'no such consent')
  if (consent.clientId !== clientId) refuse('consent_not_yours', 'the consent is of another client')
  if (consent.deletedAt !== undefined) refuse('consent_not_found', 'the consent is deleted')
  return consent
}
