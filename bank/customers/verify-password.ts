import { type Database, sql, transact, z } from '@bankside/service-kit/postgres'
import type { CustomerId } from '../ids.ts'
import { matchesPassword, unlessFlooded } from './passwords.ts'
import { giveBackAttempt, normaliseUsername, reserveAttempt } from './sign-in-attempts.ts'

export type PasswordAttempt = { readonly username: string; readonly password: string; readonly now: Date }

/** The same for a wrong password and an unknown name. */
export type PasswordResult =
  | { readonly outcome: 'accepted'; readonly customerId: CustomerId }
  | { readonly outcome: 'wrong'; readonly attemptsLeft: number }
  | { readonly outcome: 'locked' }

const customerRow = z.object({ customer_id: z.templateLiteral(['cus_', z.string()]), password_hash: z.string() })

/**
 * The first factor. Opens transactions of its own, so that no connection waits while a password is hashed, and so that an
 * attempt counts whatever becomes of the request. Acceptance alone resets nothing: the second factor does.
 *
 * @throws {Unavailable} without counting, when more wait than can be checked soon.
 */
export const verifyPassword = (database: Database, attempt: PasswordAttempt): Promise<PasswordResult> =>
  unlessFlooded(() => verified(database, attempt))

async function verified(database: Database, { username, password, now }: PasswordAttempt): Promise<PasswordResult> {
  const { attempt, customer } = await transact(database, async (tx) => ({
    attempt: await reserveAttempt(tx, { username, now }),
    customer: await tx.maybeOne(sql.type(customerRow)`
      select customer_id, password_hash from customers.customer where username = ${normaliseUsername(username)}`),
  }))
  if (attempt.outcome === 'locked') return { outcome: 'locked' }

  const matches = await matchesPassword(customer?.password_hash, password)
  if (!matches || customer === null) return attempt.left > 0 ? { outcome: 'wrong', attemptsLeft: attempt.left } : { outcome: 'locked' }
  await transact(database, (tx) => giveBackAttempt(tx, { username, now }))
  return { outcome: 'accepted', customerId: customer.customer_id }
}
