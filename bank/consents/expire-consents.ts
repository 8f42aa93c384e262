import { eachByItself, type RoundOptions } from '@bankside/service-kit/each-by-itself'
import { type Database, reading, sql, type Transaction, transact, z } from '@bankside/service-kit/postgres'
import { type ConsentId, isConsentId } from '../ids.ts'
import { changeStatus } from './change-status.ts'
import type { Consent, ConsentStatus, StatusReason } from './consent.ts'
import { endGrant } from './end-grant.ts'
import { readConsent } from './get-consent.ts'

/** An authorised payment that nobody submits within this time is off: its token has long been dead. */
export const unusedPaymentPeriodMs = 24 * 60 * 60 * 1000

/**
 * Moves consents whose time is over: not decided on in time (CON-05), past their expiry, or authorised for a payment that
 * never came. Each in a transaction of its own; several processes may do this at once. Expiry of a token alone never gets
 * here (RW-TOK-03).
 *
 * @returns how many were moved: none when nothing is left to move.
 */
export async function expireConsents(database: Database, { now, limit, onFault }: RoundOptions<ConsentId>): Promise<number> {
  // In any order, so that faulty ones are not the first each time.
  const due = await reading(
    database.anyFirst(sql.type(dueRow)`select c.consent_id from consents.consent c where ${isDue(now)} order by random() limit ${limit}`),
  )
  return eachByItself(due, (consentId) => transact(database, (tx) => expireOne(tx, consentId, now)), onFault)
}

const dueRow = z.object({ consent_id: z.custom<ConsentId>(isConsentId) })

function isDue(now: Date) {
  const time = sql.timestamp(now)
  const unusedSince = sql.timestamp(new Date(now.getTime() - unusedPaymentPeriodMs))
  return sql.fragment`c.deleted_at is null and (
    (c.status = 'AWAU' and c.authorise_before <= ${time})
    or (c.status = 'AUTH' and c.expires_at is not null and c.expires_at <= ${time})
    or (c.status = 'CANC' and c.expires_at is not null and c.expires_at <= ${time})
    or (c.status = 'AUTH' and c.kind <> 'account_access' and c.authorised_at <= ${unusedSince}))`
}

/** False when another process is at it, or was, or the customer decided in between. */
async function expireOne(tx: Transaction, consentId: ConsentId, now: Date): Promise<boolean> {
  const locked = await tx.maybeOne(sql.type(dueRow)`
    select c.consent_id from consents.consent c where c.consent_id = ${consentId} and ${isDue(now)} for no key update of c skip locked`)
  const consent = locked && (await readConsent(tx, consentId))
  if (!consent) return false
  await expire(tx, consent, now)
  return true
}

async function expire(tx: Transaction, consent: Consent, now: Date): Promise<void> {
  const { to, reason } = endOf(consent, now)
  await changeStatus(tx, consent, { to, reason, action: to === 'EXPD' ? 'consent.expired' : 'consent.rejected', actor: 'worker', now })
  if (consent.grantId !== undefined) await endGrant(tx, { grantId: consent.grantId, now })
}

function endOf(consent: Consent, now: Date): { to: ConsentStatus; reason: StatusReason } {
  if (consent.kind === 'account_access' && consent.expiresAt !== undefined && consent.expiresAt <= now)
    return { to: 'EXPD', reason: { code: 'TKXP', description: 'The consent has reached its expiry date' } }
  if (consent.status === 'AWAU') return { to: 'RJCT', reason: { code: 'U036', description: 'The customer did not decide in time' } }
  return { to: 'RJCT', reason: { code: 'U042', description: 'The payment was not made in time' } }
}
