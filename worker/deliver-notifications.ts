import { type GuardedFetch, OutboundError } from '@bankside/service-kit/guarded-fetch'
import { type Database, reading, sql, transact, z } from '@bankside/service-kit/postgres'
import { unseal } from '@bankside/service-kit/seal'

export type NotificationNeeds = {
  readonly now: Date
  /** At most so many calls, made at the same time. */
  readonly limit: number
  readonly keys: readonly Buffer[]
  /** Leads nowhere but out, and follows no redirect. */
  readonly call: GuardedFetch
  readonly onFailure?: (notification: { readonly requestId: string; readonly clientId: string }, outcome: Outcome, why: string) => void
}

type Outcome = 'again' | 'given_up'

/** A client that does not answer is called again while its request lasts, and no more than so many times. */
export const notificationAttemptsLimit = 6
const firstRetryMs = 1_000
/** Whoever takes a notification has so long; if it dies, another one takes it then. More than a call may take. */
const takenForMs = 15_000

const dueRow = z.object({
  request_id: z.string(),
  client_id: z.string(),
  endpoint: z.string(),
  secrets_sealed: z.instanceof(Buffer),
  attempts: z.number(),
  expires_at: z.date(),
})
type Due = z.infer<typeof dueRow>

/**
 * Calls the clients whose CIBA requests were decided (CIBA-10): a POST with the client's own token and the auth_req_id, and
 * nothing else. At least once: whoever dies after a call and before it is marked lets it be made again. Not within a
 * transaction, so that a slow client holds no row.
 *
 * @returns how many were called: none when none is due.
 */
export async function deliverNotifications(database: Database, needs: NotificationNeeds): Promise<number> {
  const due = await take(database, needs)
  await Promise.all(due.map((notification) => deliver(database, notification, needs)))
  return due.length
}

/** One statement: of several workers each takes others. A client that was blocked meanwhile is not called. */
async function take(database: Database, { now, limit }: NotificationNeeds): Promise<readonly Due[]> {
  return transact(database, (tx) =>
    tx.any(sql.type(dueRow)`
      update oidc.backchannel_notification taken set
        attempts = taken.attempts + 1, next_attempt_at = ${sql.timestamp(new Date(now.getTime() + takenForMs))}
      where request_id in (
        select n.request_id from oidc.backchannel_notification n join clients.client c on c.client_id = n.client_id and c.status = 'active'
        where n.next_attempt_at <= ${sql.timestamp(now)} order by n.next_attempt_at limit ${limit} for update of n skip locked)
      returning request_id, client_id, endpoint, secrets_sealed, attempts, expires_at`),
  )
}

async function deliver(database: Database, due: Due, needs: NotificationNeeds): Promise<void> {
  const problem = await callOnce(due, needs)
  if (problem === undefined) return mark(database, due, sql.fragment`delivered_at = ${sql.timestamp(needs.now)}, next_attempt_at = null`)
  const nextAt = new Date(needs.now.getTime() + firstRetryMs * 2 ** due.attempts)
  const again = problem.mayPass && due.attempts < notificationAttemptsLimit && nextAt < due.expires_at
  await mark(
    database,
    due,
    again
      ? sql.fragment`next_attempt_at = ${sql.timestamp(nextAt)}, last_error = ${problem.why}`
      : sql.fragment`given_up_at = ${sql.timestamp(needs.now)}, next_attempt_at = null, last_error = ${problem.why}`,
  )
  needs.onFailure?.({ requestId: due.request_id, clientId: due.client_id }, again ? 'again' : 'given_up', problem.why)
}

async function mark(database: Database, { request_id }: Due, what: ReturnType<typeof sql.fragment>): Promise<void> {
  await reading(
    transact(database, (tx) => tx.query(sql.unsafe`update oidc.backchannel_notification set ${what} where request_id = ${request_id}`)),
  )
}

/** `mayPass`: trying later may help. Whether it has to do with us or with them, what the client says is not kept. */
type Failure = { readonly why: string; readonly mayPass: boolean }

const passingFailures: ReadonlySet<string> = new Set(['unreachable', 'too_slow', 'busy'])
const passingStatuses: ReadonlySet<number> = new Set([408, 425, 429])

async function callOnce(due: Due, { keys, call }: NotificationNeeds): Promise<Failure | undefined> {
  const secrets = secretsOf(due, keys)
  if (secrets === undefined) return { why: 'sealed with a key that is not here', mayPass: false }
  try {
    const { status } = await call(due.endpoint, {
      method: 'POST',
      headers: { authorization: `Bearer ${secrets.client_notification_token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ auth_req_id: secrets.auth_req_id }),
    })
    if (status >= 200 && status < 300) return undefined
    return { why: `answered ${status}`, mayPass: status >= 500 || passingStatuses.has(status) }
  } catch (error) {
    if (!(error instanceof OutboundError)) throw error
    return { why: error.code, mayPass: passingFailures.has(error.code) }
  }
}

type Secrets = { readonly auth_req_id: string; readonly client_notification_token: string }

function secretsOf({ request_id, secrets_sealed }: Due, keys: readonly Buffer[]): Secrets | undefined {
  try {
    return JSON.parse(unseal(keys, secrets_sealed, `oidc.backchannel_notification/${request_id}/secrets`).toString('utf8')) as Secrets
  } catch {
    return undefined
  }
}
