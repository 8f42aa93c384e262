import { eachByItself, type RoundOptions } from '@bankside/service-kit/each-by-itself'
import { type Database, reading, sql, type Transaction, transact, z } from '@bankside/service-kit/postgres'
import { type ConsentId, isConsentId } from '../ids.ts'
import { changeStatus } from './change-status.ts'
import { endGrant } from './end-grant.ts'
import { readConsent } from './get-consent.ts'

const dueRow = z.object({ consent_id: z.custom<ConsentId>(isConsentId) })

/**
 * A consent that was never lodged is known to the third party only by the answer to its token request. Where that was never
 * asked for, nobody can use the consent or name it: it ends, so that customers do not see an access that is none (GM-06).
 *
 * @returns how many ended.
 */
export async function endUnclaimedConsents(database: Database, { now, limit, onFault }: RoundOptions<ConsentId>): Promise<number> {
  // In any order, so that faulty ones are not the first each time.
  const due = await reading(
    database.anyFirst(sql.type(dueRow)`select c.consent_id from ${unclaimed(now)} order by random() limit ${limit}`),
  )
  return eachByItself(due, (consentId) => transact(database, (tx) => endOne(tx, consentId, now)), onFault)
}

const unclaimed = (now: Date) => sql.fragment`
  oidc.grant g join consents.consent c on c.grant_id = g.grant_id and c.status = 'AUTH' and c.deleted_at is null
  where g.claim_before <= ${sql.timestamp(now)} and g.revoked_at is null`

/** False when another process is at it, or the code was redeemed meanwhile. */
async function endOne(tx: Transaction, consentId: ConsentId, now: Date): Promise<boolean> {
  const locked = await tx.maybeOne(sql.type(dueRow)`
    select c.consent_id from ${unclaimed(now)} and c.consent_id = ${consentId} for no key update of c skip locked`)
  const consent = locked && (await readConsent(tx, consentId))
  if (!consent) return false
  const to = consent.kind === 'account_access' ? 'EXPD' : 'RJCT'
  const reason = { code: 'U036', description: 'The third party did not take up what it was allowed' }
  await changeStatus(tx, consent, { to, reason, action: 'consent.unclaimed', actor: 'worker', now })
  if (consent.grantId !== undefined) await endGrant(tx, { grantId: consent.grantId, now })
  return true
}
