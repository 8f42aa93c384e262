import type { BankRefusal } from '@bankside/bank/refusal'
import { formErrors } from '@bankside/consent-ui/form-errors'
import type { FieldError } from '@bankside/consent-ui/page'
import type { Situation } from '@bankside/consent-ui/situations'

export type Ending = {
  /** What the customer reads. */
  readonly situation: Situation
  /** What the third party is told when the customer goes back to it. */
  readonly error: 'access_denied' | 'invalid_request' | 'invalid_grant_id' | 'login_required'
}

const gone: Ending = { situation: 'request_changed', error: 'access_denied' }
const tooLate: Ending = { situation: 'request_expired', error: 'access_denied' }
const notPossible: Ending = { situation: 'contact_bank', error: 'invalid_request' }

/** Reasons of this edge's own. */
const endingsHere = {
  cancelled: gone,
  /** GM-02. */
  other_customers_grant: { situation: 'other_customer', error: 'invalid_grant_id' },
  /** OIDC-06. */
  not_whom_was_asked: { situation: 'other_customer', error: 'login_required' },
  locked: { situation: 'locked', error: 'access_denied' },
  answered_elsewhere: gone,
  ran_out: tooLate,
  wrong_debtor: { situation: 'no_eligible_account', error: 'access_denied' },
} as const satisfies Record<string, Ending>

/** Every reason the bank has for a no, and how the journey ends with it. What no page of ours can lead to ends like the nearest. */
const endingsByRefusal = {
  account_not_permitted: notPossible,
  account_not_usable: notPossible,
  amount_invalid: notPossible,
  beneficiary_exists: notPossible,
  certificate_not_yours: notPossible,
  client_blocked: gone,
  consent_already_used: gone,
  consent_mismatch: gone,
  consent_not_authorised: gone,
  consent_not_found: gone,
  consent_not_yours: { situation: 'other_customer', error: 'access_denied' },
  currency_unsupported: notPossible,
  date_invalid: notPossible,
  field_invalid: notPossible,
  field_missing: notPossible,
  grant_revoked: { situation: 'request_changed', error: 'invalid_grant_id' },
  idempotency_key_in_use: notPossible,
  idempotency_key_reused: notPossible,
  insufficient_funds: notPossible,
  insufficient_user_authentication: tooLate,
  licence_missing: notPossible,
  limit_not_confirmed: notPossible,
  payment_archived: notPossible,
  payment_not_found: gone,
  payment_not_sealed: notPossible,
  payment_over_limit: notPossible,
  permission_missing: notPossible,
  permissions_invalid: notPossible,
  scheme_unsupported: notPossible,
  statement_not_found: notPossible,
  token_without_consent: gone,
} as const satisfies Record<BankRefusal, Ending>

export const endings: Readonly<Record<EndReason, Ending>> = { ...endingsHere, ...endingsByRefusal }
export type EndReason = keyof typeof endingsHere | keyof typeof endingsByRefusal

export const isEndReason = (text: string): text is EndReason => Object.hasOwn(endings, text)

/** Refusals that the customer can put right on the page they are on. */
const corrections: Partial<Record<BankRefusal, FieldError>> = {
  account_not_permitted: formErrors.accountNotUsable,
  account_not_usable: formErrors.accountNotUsable,
  field_invalid: formErrors.accountMissing,
  limit_not_confirmed: formErrors.limitNotConfirmed,
}

/** The message at the form, when choosing otherwise would help. */
export function correctionOf(code: string, step: string): FieldError | undefined {
  if (code === 'field_missing') return step === 'choose_accounts' ? formErrors.accountsMissing : formErrors.accountMissing
  return corrections[code as BankRefusal]
}
