import { type Database, sql, type Transaction, transact } from '@bankside/service-kit/postgres'
import { changeStatus } from './change-status.ts'
import type { Consent, ConsentStatus, StatusReason } from './consent.ts'
import { consentColumns, consentRow, toConsent } from './consent-row.ts'
import { endGrant } from './end-grant.ts'

/** An authorised payment that nobody submits within this time is off: its token has long been dead. */
export const unusedPaymentPeriodMs = 24 * 60 * 60 * 1000

/**
 * Moves consents whose time is over: not decided on in time (CON-05), past their expiry, or authorised for a payment that
 * never came. Several processes may do this at once. Expiry of a token alone never gets here (RW-TOK-03).
 *
 * @returns how many were moved: fewer than `limit` when nothing is left.
 */
export function expireConsents(database: Database, { now, limit }: { readonly now: Date; readonly limit: number }): Promise<number> {
  return transact(database, async (tx) => {
    const due = await lockDue(tx, now, limit)
    for (const consent of due) await expire(tx, consent, now)
    return due.length
  })
}

async function lockDue(tx: Transaction, now: Date, limit: number): Promise<readonly Consent[]> {
  const time = sql.timestamp(now)
  const unusedSince = sql.timestamp(new Date(now.getTime() - unusedPaymentPeriodMs))
  const rows = await tx.any(sql.type(consentRow)`
    select ${consentColumns} from consents.consent c
    where c.deleted_at is null and (
      (c.status = 'AWAU' and c.authorise_before <= ${time})
      or (c.status = 'AUTH' and c.expires_at is not null and c.expires_at <= ${time})
      or (c.status = 'CANC' and c.expires_at is not null and c.expires_at <= ${time})
      or (c.status = 'AUTH' and c.kind <> 'account_access' and c.authorised_at <= ${unusedSince}))
    order by c.consent_id limit ${limit} for no key update of c skip locked`)
  return rows.map(toConsent)
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
