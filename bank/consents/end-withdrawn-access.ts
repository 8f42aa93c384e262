import { eachByItself, type RoundOptions } from '@bankside/service-kit/each-by-itself'
import { type Database, reading, sql, type Transaction, transact, z } from '@bankside/service-kit/postgres'
import { type ConsentId, isConsentId } from '../ids.ts'
import { changeStatus } from './change-status.ts'
import { endGrant } from './end-grant.ts'
import { readConsent } from './get-consent.ts'

const grantRow = z.object({ grant_id: z.string() })
const consentRow = z.object({ consent_id: z.custom<ConsentId>(isConsentId) })

/** `RR04` of the UK's status reasons: a regulatory one. */
export const withdrawnReason = { code: 'RR04', description: 'The third party is no longer authorised by its regulator' } as const

/** A register that was mistaken, and says so by then, has cost nobody what its customers allowed it. */
export const withdrawnForGoodAfterMs = 3_600_000

/**
 * What customers allowed to somebody whose licence was withdrawn ends: grants with their tokens, accesses, and payments that
 * were not made. It opens nothing from the moment of the withdrawal on; an hour later it does not come back with a licence (CERT-08).
 *
 * @returns how many grants ended.
 */
export async function endWithdrawnAccess(database: Database, { now, limit, onFault }: RoundOptions<string>): Promise<number> {
  // In any order, so that faulty ones are not the first each time.
  const due = await reading(
    database.anyFirst(sql.type(grantRow)`
      select g.grant_id from clients.client c join oidc.grant g on g.client_id = c.client_id and g.revoked_at is null
      where c.withdrawn_at <= ${sql.timestamp(new Date(now.getTime() - withdrawnForGoodAfterMs))} order by random() limit ${limit}`),
  )
  return eachByItself(due, (grantId) => transact(database, (tx) => endOne(tx, grantId, now)), onFault)
}

async function endOne(tx: Transaction, grantId: string, now: Date): Promise<true> {
  const locked = await tx.maybeOne(sql.type(consentRow)`
    select consent_id from consents.consent where grant_id = ${grantId} and status = 'AUTH' and deleted_at is null for no key update`)
  const consent = locked === null ? undefined : await readConsent(tx, locked.consent_id)
  if (consent !== undefined) {
    const to = consent.kind === 'account_access' ? 'EXPD' : 'RJCT'
    await changeStatus(tx, consent, { to, reason: withdrawnReason, action: 'consent.licence_withdrawn', actor: 'worker', now })
  }
  await endGrant(tx, { grantId, now })
  return true
}
