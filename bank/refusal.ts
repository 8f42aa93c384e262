import { violatedConstraint } from '@bankside/service-kit/postgres'
import { Refusal } from '@bankside/service-kit/refusal'

/** Every reason the bank gives for not doing what it was asked. A closed list: each edge maps all of it in one table. */
export type BankRefusal =
  | 'account_not_permitted' // not among the accounts of the decision, or no such account: one answer for both
  | 'account_not_usable' // frozen or closed
  | 'amount_invalid'
  | 'beneficiary_exists'
  | 'certificate_not_yours' // the connection's: of another organisation than the client, or for no connections
  | 'client_blocked'
  | 'consent_already_used'
  | 'consent_mismatch' // what is asked differs from what was consented to
  | 'consent_not_authorised' // in another state than this act needs
  | 'consent_not_found' // unknown, or deleted
  | 'consent_not_yours' // of another client
  | 'currency_unsupported'
  | 'date_invalid'
  | 'field_invalid'
  | 'field_missing'
  | 'grant_revoked' // the grant behind the token is gone: revoked, expired, killed by a replayed code
  | 'idempotency_key_in_use' // the first request under the key is still running
  | 'idempotency_key_reused' // the key was used with another request
  | 'insufficient_funds'
  | 'insufficient_user_authentication' // step-up, RFC 9470
  | 'licence_missing' // the holder of the connection is not licensed for this
  | 'limit_not_confirmed' // the customer has not confirmed to go beyond a soft limit of their own
  | 'payment_archived' // what was recorded of it is in a file, so there is no proof of it from here
  | 'payment_not_found'
  | 'payment_not_sealed' // there is no proof of it in the next seconds
  | 'payment_over_limit'
  | 'permission_missing' // the consent does not open this
  | 'permissions_invalid' // the requested permission codes do not make sense together
  | 'scheme_unsupported'
  | 'statement_not_found' // no such statement of this account, or not within what the consent opens
  | 'token_without_consent' // D5: a token without an authorised consent of the right kind

export function refuse(code: BankRefusal, message: string, options?: { path?: string | undefined; cause?: unknown }): never {
  throw new Refusal<BankRefusal>(code, message, options)
}

/** Constraints that a caller can run into by racing. Any other violation is a fault of ours. */
const refusedByConstraint: Partial<Record<string, BankRefusal>> = {
  payment_one_per_consent: 'consent_already_used',
  beneficiary_is_unique_per_customer: 'beneficiary_exists',
  limit_is_set_once: 'field_invalid',
}

/** The refusal behind an error, if it is one: thrown as such, or reported by a constraint. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error
  const code = refusedByConstraint[violatedConstraint(error) ?? '']
  return code && new Refusal<BankRefusal>(code, 'refused by the database', { cause: error })
}
