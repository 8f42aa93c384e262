import type { Consent } from '@bankside/bank/consents/consent'
import { listEligibleAccounts } from '@bankside/bank/consents/list-eligible-accounts'
import { answerSecondFactor, type SecondFactorResult } from '@bankside/bank/customers/answer-second-factor'
import { challengePeriodMs, startSecondFactor } from '@bankside/bank/customers/start-second-factor'
import type { DataKeys } from '@bankside/bank/customers/totp'
import { verifyPassword } from '@bankside/bank/customers/verify-password'
import type { CustomerId } from '@bankside/bank/ids'
import { formErrors } from '@bankside/consent-ui/form-errors'
import type { FieldError } from '@bankside/consent-ui/page'
import { type Database, type Transaction, transact } from '@bankside/service-kit/postgres'
import type { Form } from '../http/form.ts'
import { endedBy } from './end-journey.ts'
import type { Journey, JourneyState, Step } from './journey.ts'

/** What signing in needs to know: on the way to a third party, or to the dashboard. */
export type SigningIn = {
  readonly journey: Journey
  /** What the customer is signing in for, when there is a consent to decide on. */
  readonly consent: Consent | undefined
  /** The consent whose place it takes. */
  readonly superseded?: Consent | undefined
  readonly requestId: string
  readonly now: Date
}

/** The first factor. One message for an unknown name and a wrong password (CX-11). */
export async function submitSignIn(database: Database, signingIn: SigningIn, form: Form): Promise<JourneyState> {
  const { journey, consent, requestId, now } = signingIn
  const { errors: _shown, ...state } = journey.state
  const [username, password] = [form.one('username').trim(), form.one('password')]
  const missing: FieldError[] = [
    ...(username === '' ? [formErrors.usernameMissing] : []),
    ...(password === '' ? [formErrors.passwordMissing] : []),
  ]
  if (missing.length > 0) return { ...state, username, errors: missing }
  const result = await verifyPassword(database, { username, password, interactionId: requestId, now })
  if (result.outcome === 'locked') return endedBy(state, 'locked')
  if (result.outcome === 'wrong') return { ...state, username, errors: [formErrors.notSignedIn] }
  const known = { ...state, username, customerId: result.customerId }
  return transact(database, (tx) => askSecondFactor(tx, known, { consent, now }))
}

type Known = JourneyState & { readonly customerId: CustomerId }

/** The next page asks for the second factor: for the payment with its terms as they are now, or for signing in. */
export async function askSecondFactor(
  tx: Transaction,
  state: Known,
  { consent, now }: { readonly consent: Consent | undefined; readonly now: Date },
): Promise<JourneyState> {
  const boundTo = consent?.kind === 'account_access' ? undefined : consent
  const challengeId = await startSecondFactor(tx, { customerId: state.customerId, consent: boundTo, now })
  return { ...state, step: 'second_factor', challengeId, challengeExpiresAt: new Date(now.getTime() + challengePeriodMs).toISOString() }
}

const messages: Record<Exclude<SecondFactorResult, 'accepted' | 'locked'>, FieldError> = {
  wrong: formErrors.codeWrong,
  used: formErrors.codeUsed,
  expired: formErrors.codeExpired,
}

type Answering = {
  readonly dataKey: DataKeys
  readonly next: Step
  /** Whether the request may be answered by this customer, where it names one. */
  readonly isAskedOf?: (customerId: CustomerId) => boolean
}

/** The second factor. Right, it completes the sign-in; what comes then is for this customer to see, or the journey ends. */
export async function submitSecondFactor(
  database: Database,
  signingIn: SigningIn,
  form: Form,
  { dataKey, next, isAskedOf }: Answering,
): Promise<JourneyState> {
  const { journey, consent, superseded, requestId, now } = signingIn
  const { errors: _shown, ...state } = journey.state
  const { challengeId, customerId } = asked(state)
  const code = form.one('code').replace(/\s/g, '')
  if (code === '') return { ...state, errors: [formErrors.codeMissing] }
  const answer = { challengeId, customerId, code, dataKey, interactionId: requestId, now }
  const result = await transact(database, (tx) => answerSecondFactor(tx, answer))
  if (result === 'locked') return endedBy(state, 'locked')
  if (result === 'expired') {
    const anew = await transact(database, (tx) => askSecondFactor(tx, { ...state, customerId }, { consent, now }))
    return { ...anew, errors: [messages.expired] }
  }
  if (result !== 'accepted') return { ...state, errors: [messages[result]] }
  if (isAskedOf?.(customerId) === false) return endedBy(state, 'not_whom_was_asked')
  if (consent?.customerId !== undefined && consent.customerId !== customerId) return endedBy(state, 'consent_not_yours')
  if (superseded !== undefined && superseded.customerId !== customerId) return endedBy(state, 'other_customers_grant')
  if (!(await hasAnAccountFor(database, consent, customerId))) return endedBy(state, 'wrong_debtor')
  return { ...state, step: next, authenticatedAt: state.authenticatedAt ?? Math.floor(now.getTime() / 1000) }
}

/** PIS-07: a payment from an account that is not this customer's, or from none, cannot be agreed to. */
async function hasAnAccountFor(database: Database, consent: Consent | undefined, customerId: CustomerId): Promise<boolean> {
  if (consent === undefined || consent.kind === 'account_access') return true
  const accounts = await transact(database, (tx) => listEligibleAccounts(tx, { consent, customerId }))
  return accounts.some(({ ineligible }) => ineligible === undefined)
}

function asked({ challengeId, customerId }: JourneyState): { challengeId: string; customerId: CustomerId } {
  if (challengeId === undefined || customerId === undefined) throw new Error('a second factor was answered that nobody was asked for')
  return { challengeId, customerId }
}
