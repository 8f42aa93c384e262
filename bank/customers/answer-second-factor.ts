import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type AuditRecord, appendAudit } from '../audit/append-audit.ts'
import type { CustomerId } from '../ids.ts'
import { forgetAttempts, giveBackAttempt, reserveAttempt } from './sign-in-attempts.ts'
import { type DataKeys, matchTotp, unsealTotpSecret } from './totp.ts'

export type SecondFactorAnswer = {
  readonly challengeId: string
  readonly customerId: CustomerId
  readonly code: string
  /** Opens the customer's sealed secret. */
  readonly dataKey: DataKeys
  readonly interactionId?: string | undefined
  readonly now: Date
}

/**
 * `used`: the code is right and was accepted before, here or elsewhere; the next one will do. `expired`: no such challenge to
 * answer any more. `locked`: too many failures in a row, this one perhaps included.
 */
export type SecondFactorResult = 'accepted' | 'wrong' | 'used' | 'expired' | 'locked'

const challengeRow = z.object({
  username: z.string(),
  totp_secret_sealed: z.instanceof(Buffer),
  consent_id: z.string().nullable(),
  answered_at: z.date().nullable(),
  expires_at: z.date(),
})

/**
 * The second factor. Whatever it answers, the transaction must commit: a failure that is rolled back was never counted, nor
 * recorded. A code is accepted once (RFC 6238 section 5.2), also of many at once. Acceptance completes the sign-in and resets
 * the count.
 */
export async function answerSecondFactor(tx: Transaction, answer: SecondFactorAnswer): Promise<SecondFactorResult> {
  const { challengeId: subject, customerId: actor, interactionId, now } = answer
  const { result, details } = await check(tx, answer)
  const action = result === 'accepted' ? 'second_factor.accepted' : 'second_factor.refused'
  await appendAudit(tx, { actor, action, subject, interactionId, details, now })
  return result
}

type Checked = { readonly result: SecondFactorResult; readonly details: AuditRecord['details'] }

async function check(tx: Transaction, answer: SecondFactorAnswer): Promise<Checked> {
  const { challengeId, customerId, code, dataKey, now } = answer
  const challenge = await tx.maybeOne(sql.type(challengeRow)`
    select c.username, c.totp_secret_sealed, s.consent_id, s.answered_at, s.expires_at
    from customers.sca_challenge s join customers.customer c on c.customer_id = s.customer_id
    where s.challenge_id = ${challengeId} and s.customer_id = ${customerId}
    for no key update of s`)
  const refused = (result: SecondFactorResult, reason: string = result): Checked => ({ result, details: { reason } })
  if (challenge === null || challenge.expires_at <= now) return refused('expired')
  if (challenge.answered_at !== null) return refused('used')

  const { username } = challenge
  const attempt = await reserveAttempt(tx, { username, now })
  if (attempt.outcome === 'locked') return refused('locked')
  const step = matchTotp(unsealTotpSecret(dataKey, customerId, challenge.totp_secret_sealed), code.replaceAll(' ', ''), now)
  if (step === undefined) return attempt.left > 0 ? refused('wrong') : refused('locked', 'wrong_and_locked')
  if (!(await claimStep(tx, { customerId, step, now }))) {
    await giveBackAttempt(tx, { username, now })
    return refused('used')
  }
  await accept(tx, answer, username)
  return { result: 'accepted', details: { consentId: challenge.consent_id } }
}

/** The primary key decides between two that race. */
async function claimStep(
  tx: Transaction,
  { customerId, step, now }: { customerId: CustomerId; step: bigint; now: Date },
): Promise<boolean> {
  const claimed = await tx.maybeOne(sql.type(z.object({ step: z.bigint() }))`
    insert into customers.totp_step_used (customer_id, step, used_at) values (${customerId}, ${step}, ${sql.timestamp(now)})
    on conflict do nothing returning step`)
  return claimed !== null
}

async function accept(tx: Transaction, { challengeId, now }: SecondFactorAnswer, username: string): Promise<void> {
  await tx.query(sql.unsafe`
    update customers.sca_challenge set answered_at = ${sql.timestamp(now)} where challenge_id = ${challengeId}`)
  await forgetAttempts(tx, { username })
}
