import { createHash } from 'node:crypto'
import { sql, type Transaction, z } from '@bankside/service-kit/postgres'

/** SCA-RTS Art. 4(3)(b). Passwords and codes count together. */
export const attemptsInARow = 5
export const lockPeriodMs = 15 * 60 * 1000

/** `left`: how many remain if this one fails too. */
export type Attempt = { readonly outcome: 'reserved'; readonly left: number } | { readonly outcome: 'locked' }

/** How a user name is typed in: an unknown one is as good as any. */
export const normaliseUsername = (typed: string): string => typed.trim().toLowerCase()

const digestOf = (username: string) => createHash('sha256').update(normaliseUsername(username)).digest()
const hashOf = (username: string) => sql.binary(digestOf(username))

/** Who tried to sign in, as the audit log says it: the name itself may be anything, even a password typed in the wrong field. */
export const attemptedBy = (username: string): string => `username:${digestOf(username).toString('hex')}`

/**
 * Counts an attempt as failed before anything is checked, in one statement: of any number of guesses at once, five are tried.
 * The fifth locks. Names that nobody has are counted alike.
 */
export async function reserveAttempt(
  tx: Transaction,
  { username, now }: { readonly username: string; readonly now: Date },
): Promise<Attempt> {
  const time = sql.timestamp(now)
  const lockedUntil = sql.timestamp(new Date(now.getTime() + lockPeriodMs))
  const row = await tx.maybeOne(sql.type(z.object({ failures: z.number() }))`
    insert into customers.sign_in_attempt as attempt (username_hash, failures, locked_until, updated_at)
    values (${hashOf(username)}, 1, null, ${time})
    on conflict (username_hash) do update set
      failures = case when attempt.locked_until is null then attempt.failures + 1 else 1 end,
      locked_until = case when attempt.locked_until is null and attempt.failures + 1 >= ${attemptsInARow} then ${lockedUntil} end,
      updated_at = ${time}
    where attempt.locked_until is null or attempt.locked_until <= ${time}
    returning failures`)
  return row === null ? { outcome: 'locked' } : { outcome: 'reserved', left: attemptsInARow - row.failures }
}

/** The attempt was right, as far as it went: it does not count. Those that failed before it still do. */
export async function giveBackAttempt(
  tx: Transaction,
  { username, now }: { readonly username: string; readonly now: Date },
): Promise<void> {
  await tx.query(sql.unsafe`
    update customers.sign_in_attempt set failures = failures - 1, locked_until = null, updated_at = ${sql.timestamp(now)}
    where username_hash = ${hashOf(username)} and failures > 0`)
}

/** The customer has signed in with both factors: the count begins anew. */
export async function forgetAttempts(tx: Transaction, { username }: { readonly username: string }): Promise<void> {
  await tx.query(sql.unsafe`delete from customers.sign_in_attempt where username_hash = ${hashOf(username)}`)
}
