import { randomBytes } from 'node:crypto'
import { appendAudit } from '@bankside/bank/audit/append-audit'
import { endGrant } from '@bankside/bank/consents/end-grant'
import { closeSessionsOf } from '@bankside/bank/customers/session'
import type { CustomerId } from '@bankside/bank/ids'
import { type Database, sql, type Transaction, transact } from '@bankside/service-kit/postgres'
import type { Client, Provider, Session } from 'oidc-provider'
import { cookieNames } from '../http/cookie-names.ts'
import type { Context } from '../http/request-context.ts'
import { isFirstParty } from '../storage/client-storage.ts'
import { handleHash } from '../storage/handle-hash.ts'
import type { DestroysByUid } from '../storage/redis-artifacts.ts'

type Needs = { readonly provider: Provider; readonly database: Database; readonly now: Date }

/**
 * Ends the session that authorization requests are answered from, and the customer's sessions with the dashboard. What third
 * parties were allowed is not touched (LOGOUT-04); what the bank's own apps got through this session ends with it (BCP-06).
 * Clients that want to know are told later, from what is written here first: a session that ends unheard would be worse than one
 * that is told of twice.
 */
export async function endBrowserSession(ctx: Context, session: Session, { provider, database, now }: Needs): Promise<void> {
  const customerId = session.accountId as CustomerId | undefined
  if (customerId !== undefined) {
    const involved = await clientsOf(session, provider)
    await transact(database, async (tx) => {
      await endAll(tx, { session, involved, customerId, now })
      await closeSessionsOf(tx, customerId)
      const interactionId = ctx.state.requestId
      await appendAudit(tx, { actor: customerId, action: 'customer.signed_out', subject: customerId, interactionId, details: {}, now })
    })
  }
  await destroy(session, database, now)
  ctx.cookies.set(cookieNames.session, null, { signed: true, httpOnly: true, secure: true, sameSite: 'lax', path: '/' })
}

/** Somebody else takes over the browser: the session that was there ends for those who were given something through it. */
export async function endReplacedSession(session: Session, { provider, database, now }: Needs): Promise<void> {
  const customerId = session.accountId as CustomerId | undefined
  if (customerId !== undefined) {
    const involved = await clientsOf(session, provider)
    await transact(database, (tx) => endAll(tx, { session, involved, customerId, now }))
  }
  await destroy(session, database, now)
}

/** What answered by it until then has written its grants before: over Redis, where the session is not locked meanwhile, they end now. */
async function destroy(session: Session, database: Database, now: Date): Promise<void> {
  const { adapter } = session as unknown as { readonly adapter: Partial<DestroysByUid> }
  if (adapter.destroyByUid !== undefined) {
    await adapter.destroyByUid(session.uid)
    await transact(database, (tx) => endGrantsThrough(tx, session, now))
  }
  await session.destroy()
}

type Involved = { readonly client: Client; readonly sid: string | undefined; readonly grantId: string | undefined }

/** Those who were given something through this session and are still served. */
async function clientsOf({ authorizations = {} }: Session, { Client }: Provider): Promise<readonly Involved[]> {
  const found = await Promise.all(
    Object.entries(authorizations).map(async ([clientId, { sid, grantId }]) => ({ client: await Client.find(clientId), sid, grantId })),
  )
  return found.flatMap(({ client, ...rest }) => (client === undefined ? [] : [{ client, ...rest }]))
}

type Ending = { readonly session: Session; readonly involved: readonly Involved[]; readonly customerId: CustomerId; readonly now: Date }

/** The session knows the last grant of each client; those before it, and those of another tab, know the session. */
async function endAll(tx: Transaction, { session, involved, customerId, now }: Ending): Promise<void> {
  // First: what is answered by this session at the same time is over before the grants are looked for, or finds it gone.
  await tx.query(sql.unsafe`delete from oidc.session where uid = ${session.uid}`)
  for (const one of involved) await endFor(tx, one, customerId, now)
  await endGrantsThrough(tx, session, now)
}

async function endGrantsThrough(tx: Transaction, { uid, accountId = '' }: Session, now: Date): Promise<void> {
  await tx.query(sql.unsafe`
    select consents.end_grant(grant_id, ${sql.timestamp(now)}) from oidc.grant
    where session_hash = ${sql.binary(handleHash(uid))} and customer_id = ${accountId} and revoked_at is null`)
}

async function endFor(tx: Transaction, { client, sid, grantId }: Involved, customerId: CustomerId, now: Date): Promise<void> {
  if (isFirstParty(client) && grantId !== undefined) await endGrant(tx, { grantId, now })
  if (client.backchannelLogoutUri === undefined) return
  await tx.query(sql.unsafe`
    insert into oidc.backchannel_logout (logout_id, client_id, customer_id, sid, created_at, attempts, next_attempt_at)
    values (${`lgo_${randomBytes(16).toString('hex')}`}, ${client.clientId}, ${customerId}, ${sid ?? null}, ${sql.timestamp(now)}, 0, ${sql.timestamp(now)})`)
}
