import { createHash, randomBytes } from 'node:crypto'
import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { CustomerId } from '../ids.ts'

/** SCA-RTS Art. 4(3)(d). */
export const sessionIdleMs = 5 * 60 * 1000
/** However busy, a session ends. */
export const sessionLifeMs = 60 * 60 * 1000

const secretBytes = 32
const hashOf = (secret: string) => sql.binary(createHash('sha256').update(secret).digest())

/** Opens a customer's session with the dashboard, after both factors. The secret goes into a cookie and is kept nowhere else. */
export async function openSession(
  tx: Transaction,
  { customerId, now }: { readonly customerId: CustomerId; readonly now: Date },
): Promise<string> {
  const secret = randomBytes(secretBytes).toString('base64url')
  await tx.query(sql.unsafe`
    insert into customers.session (session_hash, customer_id, created_at, last_seen_at, expires_at)
    values (
      ${hashOf(secret)}, ${customerId}, ${sql.timestamp(now)}, ${sql.timestamp(now)},
      ${sql.timestamp(new Date(now.getTime() + sessionLifeMs))})`)
  return secret
}

export type OpenSession = { readonly customerId: CustomerId; readonly openedAt: Date }

/** Whose session it is, if it has not ended; it is not idle from now on. */
export async function touchSession(
  tx: Transaction,
  { secret, now }: { readonly secret: string; readonly now: Date },
): Promise<OpenSession | undefined> {
  const row = await tx.maybeOne(sql.type(z.object({ customer_id: z.templateLiteral(['cus_', z.string()]), created_at: z.date() }))`
    update customers.session set last_seen_at = greatest(last_seen_at, ${sql.timestamp(now)})
    where session_hash = ${hashOf(secret)} and expires_at > ${sql.timestamp(now)}
      and last_seen_at > ${sql.timestamp(new Date(now.getTime() - sessionIdleMs))}
    returning customer_id, created_at`)
  return row === null ? undefined : { customerId: row.customer_id, openedAt: row.created_at }
}

export async function closeSession(tx: Transaction, { secret }: { readonly secret: string }): Promise<void> {
  await tx.query(sql.unsafe`delete from customers.session where session_hash = ${hashOf(secret)}`)
}

/** All of them, in whichever browser: the customer has signed out of the bank. */
export async function closeSessionsOf(tx: Transaction, customerId: CustomerId): Promise<void> {
  await tx.query(sql.unsafe`delete from customers.session where customer_id = ${customerId}`)
}
