import type { FieldError } from './page.ts'

/** What a form says when something must be put right: each what to do, none a hint for an attacker (CX-11). */
export const formErrors = {
  usernameMissing: { field: 'username', message: 'Enter your username' },
  passwordMissing: { field: 'password', message: 'Enter your password' },
  /** The same for an unknown customer and a wrong password; both fields are marked. */
  notSignedIn: { field: 'credentials', message: 'Your username or password is not right. Check both and try again' },
  codeMissing: { field: 'code', message: 'Enter the 6-digit code from your app' },
  codeNotSixDigits: { field: 'code', message: 'Enter a code of 6 digits, such as 123456' },
  codeWrong: { field: 'code', message: 'That code is not right. Enter the code your app shows now' },
  codeUsed: { field: 'code', message: 'That code has been used. Wait for your app to show a new one' },
  codeExpired: { field: 'code', message: 'That took too long. Enter the code your app shows now' },
  accountsMissing: { field: 'account', message: 'Choose at least one account to share' },
  accountMissing: { field: 'account', message: 'Choose the account to pay from' },
  limitNotConfirmed: { field: 'beyond_limit', message: 'Confirm that you want to pay more than your own limit, or choose another account' },
  limitPlaceMissing: { field: 'account', message: 'Choose where the limit should count' },
  limitTimeMissing: { field: 'per', message: 'Choose how long the limit should count' },
  limitAmountWrong: { field: 'most', message: 'Enter an amount such as 250.00' },
  limitKindMissing: { field: 'kind', message: 'Choose what should happen when a payment is more' },
  accountNotUsable: { field: 'account', message: 'That account cannot be used for this. Choose another one' },
} as const satisfies Record<string, FieldError>
