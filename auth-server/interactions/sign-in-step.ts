import type { Consent } from '@bankside/bank/consents/consent'
import { listEligibleAccounts } from '@bankside/bank/consents/list-eligible-accounts'
import { answerSecondFactor, type SecondFactorResult } from '@bankside/bank/customers/answer-second-factor'
import { verifyPassword } from '@bankside/bank/customers/verify-password'
import type { CustomerId } from '@bankside/bank/ids'
import { type Database, transact } from '@bankside/service-kit/postgres'
import type { Form } from '../http/form.ts'
import { endedBy } from './end-journey.ts'
import type { JourneyState } from './journey.ts'
import { askSecondFactor, journeys, type Visit } from './visit.ts'

/** One message for an unknown name and a wrong password (CX-11). */
const wrongPassword = 'The username or password is not right'

/** The first factor. How many tries are left is said only where it cannot be avoided: at the last one. */
export async function submitSignIn(database: Database, { journey, client, now }: Visit, form: Form): Promise<JourneyState> {
  const { errors: _shown, ...state } = journey.state
  const [username, password] = [form.one('username').trim(), form.one('password')]
  const missing = [
    ...(username === '' ? [{ field: 'username', message: 'Enter your username' }] : []),
    ...(password === '' ? [{ field: 'password', message: 'Enter your password' }] : []),
  ]
  if (missing.length > 0) return { ...state, username, errors: missing }
  const result = await verifyPassword(database, { username, password, now })
  if (result.outcome === 'locked') return endedBy(state, 'locked')
  if (result.outcome === 'wrong') {
    const last = result.attemptsLeft === 1 ? '. You have one more try' : ''
    return { ...state, username, errors: [{ field: 'password', message: wrongPassword + last }] }
  }
  const known = { ...state, username, customerId: result.customerId }
  return transact(database, (tx) => askSecondFactor(tx, known, { clientId: client.clientId, now }))
}

const messages: Record<Exclude<SecondFactorResult, 'accepted' | 'locked'>, string> = {
  wrong: 'This code is not right',
  used: 'This code was used already. Wait for the next one',
  expired: 'It took too long. Enter the code that your app shows now',
}

/** The second factor. Right, it completes the sign-in; what comes then is for this customer to see, or the journey ends. */
export async function submitSecondFactor(
  database: Database,
  { journey, kind, consent, client, requestId, now }: Visit,
  form: Form,
  dataKey: Buffer,
): Promise<JourneyState> {
  const { errors: _shown, ...state } = journey.state
  const { challengeId, customerId } = proven(state)
  const code = form.one('code').replace(/\s/g, '')
  if (code === '') return { ...state, errors: [{ field: 'code', message: 'Enter the 6-digit code' }] }
  const answer = { challengeId, customerId, code, dataKey, interactionId: requestId, now }
  const result = await transact(database, (tx) => answerSecondFactor(tx, answer))
  if (result === 'locked') return endedBy(state, 'locked')
  if (result === 'accepted') {
    if (consent?.customerId !== undefined && consent.customerId !== customerId) return endedBy(state, 'consent_not_yours')
    if (!(await hasAnAccountFor(database, consent, customerId))) return endedBy(state, 'wrong_debtor')
    const step = journeys[kind][journeys[kind].indexOf('second_factor') + 1] ?? 'finished'
    return { ...state, step, authenticatedAt: state.authenticatedAt ?? Math.floor(now.getTime() / 1000) }
  }
  const errors = [{ field: 'code', message: messages[result] }]
  if (result !== 'expired') return { ...state, errors }
  return {
    ...(await transact(database, (tx) => askSecondFactor(tx, { ...state, customerId }, { clientId: client.clientId, now }))),
    errors,
  }
}

/** PIS-07: a payment from an account that is not this customer's, or from none, cannot be agreed to. */
async function hasAnAccountFor(database: Database, consent: Consent | undefined, customerId: CustomerId): Promise<boolean> {
  if (consent === undefined || consent.kind === 'account_access') return true
  const accounts = await transact(database, (tx) => listEligibleAccounts(tx, { consent, customerId }))
  return accounts.some(({ ineligible }) => ineligible === undefined)
}

function proven({ challengeId, customerId }: JourneyState): { challengeId: string; customerId: CustomerId } {
  if (challengeId === undefined || customerId === undefined) throw new Error('a second factor was answered that nobody was asked for')
  return { challengeId, customerId }
}
