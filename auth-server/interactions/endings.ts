import type { BankRefusal } from '@bankside/bank/refusal'

export type Ending = {
  readonly title: string
  readonly whatHappened: string
  readonly whatToDo: string
  /** What the third party is told when the customer goes back to it. */
  readonly error: 'access_denied' | 'invalid_request'
}

const startAgain = 'Go back to the company you came from and start again.'
const gone: Ending = {
  title: 'This request is no longer open',
  whatHappened: 'The request you came with was withdrawn, has run out, or was answered already.',
  whatToDo: startAgain,
  error: 'access_denied',
}
const otherCustomer: Ending = {
  title: 'This request is not for you',
  whatHappened: 'The request you came with belongs to another customer.',
  whatToDo: `If you have more than one user name, start again and sign in with the other one. ${startAgain}`,
  error: 'access_denied',
}
const notPossible: Ending = {
  title: 'We cannot do this',
  whatHappened: 'The request you came with cannot be carried out as it is.',
  whatToDo: startAgain,
  error: 'invalid_request',
}
const proveAgain: Ending = {
  title: 'Your code is no longer good',
  whatHappened: 'It took too long, or your code was for something else.',
  whatToDo: startAgain,
  error: 'access_denied',
}

/** Reasons of this edge's own. */
const endingsHere = {
  cancelled: {
    title: 'You cancelled',
    whatHappened: 'You did not agree to the request.',
    whatToDo: startAgain,
    error: 'access_denied',
  },
  locked: {
    title: 'You cannot sign in for 15 minutes',
    whatHappened: 'There were too many wrong passwords or codes in a row.',
    whatToDo: 'Wait 15 minutes. Then go back to the company you came from and start again.',
    error: 'access_denied',
  },
  wrong_debtor: {
    title: 'We cannot make this payment',
    whatHappened: 'The account to pay from is not one of yours, or cannot be used for this payment.',
    whatToDo: startAgain,
    error: 'access_denied',
  },
} as const satisfies Record<string, Ending>

/** A refusal that the customer can put right on the page they are on. */
export const corrections = {
  account_not_permitted: 'Choose one of your accounts',
  account_not_usable: 'This account cannot be used for this. Choose another one',
  field_invalid: 'Choose one account',
  field_missing: 'Choose at least one account',
  insufficient_funds: 'There is not enough money in this account',
} as const satisfies Partial<Record<BankRefusal, string>>

/** Every reason the bank has for a no, and how the journey ends with it. What no page of ours can lead to ends like the nearest. */
const endingsByRefusal = {
  account_not_permitted: notPossible,
  account_not_usable: notPossible,
  amount_invalid: notPossible,
  beneficiary_exists: notPossible,
  client_blocked: gone,
  consent_already_used: gone,
  consent_mismatch: gone,
  consent_not_authorised: gone,
  consent_not_found: gone,
  consent_not_yours: otherCustomer,
  currency_unsupported: notPossible,
  date_invalid: notPossible,
  field_invalid: notPossible,
  field_missing: notPossible,
  grant_revoked: gone,
  idempotency_key_in_use: notPossible,
  idempotency_key_reused: notPossible,
  insufficient_funds: notPossible,
  insufficient_user_authentication: proveAgain,
  payment_not_found: gone,
  payment_over_limit: notPossible,
  permission_missing: notPossible,
  permissions_invalid: notPossible,
  scheme_unsupported: notPossible,
  token_without_consent: gone,
} as const satisfies Record<BankRefusal, Ending>

export const endings = { ...endingsHere, ...endingsByRefusal } as const
export type EndReason = keyof typeof endings

export const isCorrectable = (code: string): code is keyof typeof corrections => Object.hasOwn(corrections, code)
