import { type Database, sql, transact, z } from '@bankside/service-kit/postgres'
import { type AuditRecord, appendAudit } from '../audit/append-audit.ts'
import type { CustomerId } from '../ids.ts'
import { matchesPassword, unlessFlooded } from './passwords.ts'
import { attemptedBy, giveBackAttempt, normaliseUsername, reserveAttempt } from './sign-in-attempts.ts'

export type PasswordAttempt = {
  readonly username: string
  readonly password: string
  readonly interactionId?: string | undefined
  readonly now: Date
}

/** The same for a wrong password and an unknown name. */
export type PasswordResult =
  | { readonly outcome: 'accepted'; readonly customerId: CustomerId }
  | { readonly outcome: 'wrong'; readonly attemptsLeft: number }
  | { readonly outcome: 'locked' }

const customerRow = z.object({ customer_id: z.templateLiteral(['cus_', z.string()]), password_hash: z.string() })

/**
 * The first factor. Opens transactions of its own, so that no connection waits while a password is hashed, and so that an
 * attempt counts, and is on record, whatever becomes of the request. Acceptance alone resets nothing: the second factor does.
 *
 * @throws {Unavailable} without counting, when more wait than can be checked soon.
 */
export const verifyPassword = (database: Database, attempt: PasswordAttempt): Promise<PasswordResult> =>
  unlessFlooded(() => verified(database, attempt))

async function verified(database: Database, tried: PasswordAttempt): Promise<PasswordResult> {
  const { username, password, now } = tried
  const { attempt, customer } = await transact(database, async (tx) => {
    const attempt = await reserveAttempt(tx, { username, now })
    if (attempt.outcome === 'locked') await appendAudit(tx, refusal(tried, 'locked'))
    const customer = await tx.maybeOne(sql.type(customerRow)`
      select customer_id, password_hash from customers.customer where username = ${normaliseUsername(username)}`)
    return { attempt, customer }
  })
  if (attempt.outcome === 'locked') return { outcome: 'locked' }

  const matches = await matchesPassword(customer?.password_hash, password)
  const customerId = matches ? customer?.customer_id : undefined
  await transact(database, async (tx) => {
    if (customerId !== undefined) await giveBackAttempt(tx, { username, now })
    await appendAudit(
      tx,
      customerId === undefined ? refusal(tried, attempt.left > 0 ? 'wrong' : 'wrong_and_locked') : acceptance(tried, customerId),
    )
  })
  if (customerId !== undefined) return { outcome: 'accepted', customerId }
  return attempt.left > 0 ? { outcome: 'wrong', attemptsLeft: attempt.left } : { outcome: 'locked' }
}

/** Whether anybody has the name is not on record: what is done for a name that nobody has is done for every name. */
function refusal({ username, interactionId, now }: PasswordAttempt, reason: 'wrong' | 'wrong_and_locked' | 'locked'): AuditRecord {
  const actor = attemptedBy(username)
  return { actor, action: 'password.refused', subject: actor, interactionId, details: { reason }, now }
}

function acceptance({ username, interactionId, now }: PasswordAttempt, customerId: CustomerId): AuditRecord {
  return { actor: customerId, action: 'password.accepted', subject: attemptedBy(username), interactionId, details: {}, now }
}
