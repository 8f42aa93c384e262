import { createHash } from 'node:crypto'
import { sql, type Transaction } from '@bankside/service-kit/postgres'
import { bindingHash } from '../consents/binding-hash.ts'
import type { Consent } from '../consents/consent.ts'
import { type ChallengeId, type CustomerId, newChallengeId } from '../ids.ts'

/** A challenge must be answered, and what it was answered for done, within this time. */
export const challengePeriodMs = 5 * 60 * 1000

export type SecondFactorRequest = {
  readonly customerId: CustomerId
  /** What the answer will be good for. Without one: for signing in. */
  readonly consent?: Consent | undefined
  readonly now: Date
}

/** Asks for the second factor. The answer will hold for exactly the terms that the consent has now (SCA-RTS Art. 5). */
export async function startSecondFactor(tx: Transaction, { customerId, consent, now }: SecondFactorRequest): Promise<ChallengeId> {
  const challengeId = newChallengeId()
  const boundTo = consent
    ? bindingHash(consent)
    : createHash('sha256')
        .update(JSON.stringify(['bankside sign-in 1', challengeId]))
        .digest()
  await tx.query(sql.unsafe`
    insert into customers.sca_challenge (challenge_id, customer_id, consent_id, binding_hash, created_at, expires_at)
    values (
      ${challengeId}, ${customerId}, ${consent?.id ?? null}, ${sql.binary(boundTo)}, ${sql.timestamp(now)},
      ${sql.timestamp(new Date(now.getTime() + challengePeriodMs))})`)
  return challengeId
}
