import type { Clock } from '@bankside/service-kit/clock'
import type { GuardedFetch } from '@bankside/service-kit/guarded-fetch'
import { type Database, sql, transact, z } from '@bankside/service-kit/postgres'
import type { Provider } from 'oidc-provider'
import { logoutToken } from './logout-token.ts'

export type DeliveryNeeds = {
  readonly provider: Provider
  readonly database: Database
  readonly clock: Clock
  readonly fetch: GuardedFetch
}

/** After so many failures nobody is told any more: hours later, the session that it was about would have ended by itself. */
export const maxAttempts = 8
const firstRetryMs = 5_000
const longestRetryMs = 60 * 60 * 1000
/** Whoever takes one has this long to deliver it: more than a request may last. */
const leaseMs = 30_000
const atOnce = 20
const maxErrorLength = 200

const dueRow = z.object({
  logout_id: z.string(),
  client_id: z.string(),
  customer_id: z.string(),
  sid: z.string().nullable(),
  attempts: z.number(),
})
type Due = z.infer<typeof dueRow>

/**
 * Tells clients of logouts, at least once each, several at a time; several processes may do it together. The requests are made
 * outside any transaction: whoever dies over one leaves it to the next, after its lease.
 *
 * @returns how many were attempted.
 */
export async function deliverLogouts(needs: DeliveryNeeds): Promise<number> {
  const due = await take(needs)
  await Promise.all(due.map((logout) => deliver(needs, logout)))
  return due.length
}

async function take({ database, clock }: DeliveryNeeds): Promise<readonly Due[]> {
  const now = clock.now()
  const until = sql.timestamp(new Date(now.getTime() + leaseMs))
  return transact(database, (tx) =>
    tx.any(sql.type(dueRow)`
      update oidc.backchannel_logout set attempts = attempts + 1, next_attempt_at = ${until}
      where logout_id in (
        select logout_id from oidc.backchannel_logout where next_attempt_at <= ${sql.timestamp(now)}
        order by next_attempt_at limit ${atOnce} for update skip locked)
      returning logout_id, client_id, customer_id, sid, attempts`),
  )
}

async function deliver(needs: DeliveryNeeds, logout: Due): Promise<void> {
  const failure = await attempt(needs, logout).catch((error: unknown) => String(error instanceof Error ? error.message : error))
  const now = needs.clock.now()
  const dead = failure !== undefined && logout.attempts >= maxAttempts
  const again = failure === undefined || dead ? null : sql.timestamp(new Date(now.getTime() + retryAfterMs(logout.attempts)))
  await transact(needs.database, (tx) =>
    tx.query(sql.unsafe`
      update oidc.backchannel_logout set
        next_attempt_at = ${again}, delivered_at = ${failure === undefined ? sql.timestamp(now) : null},
        dead_at = ${dead ? sql.timestamp(now) : null}, last_error = ${failure?.slice(0, maxErrorLength) ?? null}
      where logout_id = ${logout.logout_id} and delivered_at is null and dead_at is null`),
  )
}

const retryAfterMs = (attempts: number): number => Math.min(firstRetryMs * 4 ** (attempts - 1), longestRetryMs)

/** What went wrong, if anything did. A client that is gone, or takes no logouts any more, is told nothing. */
async function attempt({ provider, fetch }: DeliveryNeeds, { client_id, customer_id, sid }: Due): Promise<string | undefined> {
  const client = await provider.Client.find(client_id)
  if (client?.backchannelLogoutUri === undefined) return undefined
  const body = new URLSearchParams({
    logout_token: await logoutToken(provider, client, { customerId: customer_id, sid: sid ?? undefined }),
  })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const { status } = await fetch(client.backchannelLogoutUri, { method: 'POST', headers, body })
  return status === 200 || status === 204 ? undefined : `answered ${status}`
}
