import { gatheredRows } from '@bankside/service-kit/gathered-rows'
import { sql, type Transaction, withValues } from '@bankside/service-kit/postgres'
import { isNumber, rowShape } from '@bankside/service-kit/row-shape'
import type { Consent, ConsentKind } from './consent.ts'
import { consentFields } from './consent-row.ts'
import { type ConsentSought, readConsent } from './get-consent.ts'

type Sought = ConsentSought & { readonly now: Date }

/**
 * The consent that an authorization request is about, if the customer may now be asked for it: of this client, and waiting,
 * or open to renewal (CON-06, CON-07). Why not is not told: to the client it is one and the same `invalid_request`.
 */
export async function findIntent(tx: Transaction, { consentId, clientId, now }: Sought): Promise<Consent | undefined> {
  const consent = await readConsent(tx, consentId)
  return consent !== undefined && consent.clientId === clientId && mayBeAuthorised(consent, now) ? consent : undefined
}

/** {@link findIntent}, for who needs to know of no more than that there is one, and of which kind: all else of a consent is most of it. */
export async function findIntentKind(tx: Transaction, { consentId, clientId, now }: Sought): Promise<ConsentKind | undefined> {
  const row = await findOpenness(tx, consentId)
  if (row === undefined || row.client_id !== clientId) return undefined
  const { kind, status, authorise_before: authoriseBefore, expires_at: expiresAt, deleted_at: deletedAt } = row
  return isOpen({ kind, status, authoriseBefore, expiresAt: expiresAt ?? undefined, deletedAt: deletedAt ?? undefined }, now)
    ? kind
    : undefined
}

/** Rejected, consumed, expired and deleted consents never start another authorization (RW-TOK-06). */
export const mayBeAuthorised = (consent: Consent, now: Date): boolean =>
  isOpen({ ...consent, expiresAt: consent.kind === 'account_access' ? consent.expiresAt : undefined }, now)

type Openness = Pick<Consent, 'kind' | 'status' | 'authoriseBefore' | 'deletedAt'> & { readonly expiresAt: Date | undefined }

function isOpen({ kind, status, authoriseBefore, expiresAt, deletedAt }: Openness, now: Date): boolean {
  if (deletedAt !== undefined) return false
  if (kind === 'account_access' && expiresAt !== undefined && expiresAt <= now) return false
  if (status === 'AWAU') return now < authoriseBefore
  return kind === 'account_access' && (status === 'AUTH' || status === 'CANC')
}

const { client_id, kind, status, authorise_before, expires_at, deleted_at } = consentFields
const opennessRow = rowShape({ place: isNumber, client_id, kind, status, authorise_before, expires_at, deleted_at })

const queryForOne = sql.type(opennessRow)`
  select 1 as place, client_id, kind, status, authorise_before, expires_at, deleted_at from consents.consent where consent_id = ${null}`

/** Put like this, it is planned once, and goes through the key however small the table is. */
const query = sql.type(opennessRow)`
  select asked.place::int as place, consent.*
  from unnest((select ${null}::text[])) with ordinality as asked (consent_id, place)
  cross join lateral (
    select client_id, kind, status, authorise_before, expires_at, deleted_at
    from consents.consent c where c.consent_id = asked.consent_id offset 0) as consent`

const findOpenness = gatheredRows((tx, consentIds: readonly string[]) => {
  const [only] = consentIds
  return tx.any(only !== undefined && consentIds.length === 1 ? withValues(queryForOne, [only]) : withValues(query, [consentIds]))
})
