import type { Html } from '@bankside/service-kit/html'
import { chooseAccountsPage } from './choose-accounts.ts'
import { confirmPaymentPage } from './confirm-payment.ts'
import { type ConnectedAccount, connectedAccountPage } from './connected-account.ts'
import { connectedAccountsPage } from './connected-accounts.ts'
import { donePage } from './done.ts'
import { formErrors } from './form-errors.ts'
import { elsewhereStates } from './gallery-elsewhere.ts'
import { hostileStates } from './gallery-hostile.ts'
import {
  accounts,
  accountThatCannotBeShared,
  acorn,
  bank,
  clusters,
  consents,
  ended,
  everyday,
  journey,
  maya,
  mayaAtAcorn,
  payment,
  rainyDay,
  signOut,
} from './gallery-subjects.ts'
import { ownLimitsPage } from './own-limits.ts'
import { problemPage } from './problem.ts'
import { refusedPage } from './refused.ts'
import { secondFactorPage } from './second-factor.ts'
import { signInPage } from './sign-in.ts'
import { signOutPage } from './sign-out.ts'
import { answeredTexts, problemTexts, type Situation, signOutTexts } from './situations.ts'
import { stopAccessPage } from './stop-access.ts'

/** Every page in every state that looks different, by name. The gallery writes them out; the tests open each one in a browser. */
export const states: Readonly<Record<string, () => Html>> = {
  'sign-in-accounts': () =>
    signInPage({ ...journey, common: acorn, step: { number: 1, of: 3 }, cancel: true, context: { kind: 'account_access' } }),
  'sign-in-payment': () =>
    signInPage({
      ...journey,
      common: acorn,
      step: { number: 1, of: 3 },
      cancel: true,
      context: { kind: 'payment', payee: payment.payee, amount: payment.amountText },
    }),
  'sign-in-dashboard': () => signInPage({ ...journey, common: bank, cancel: false, context: { kind: 'dashboard' } }),
  'sign-in-first-party': () =>
    signInPage({ ...journey, common: { ...bank, thirdParty: { name: 'Bankside app' } }, cancel: true, context: { kind: 'first_party' } }),
  'sign-in-wrong': () =>
    signInPage({
      ...journey,
      common: acorn,
      step: { number: 1, of: 3 },
      cancel: true,
      context: { kind: 'account_access' },
      username: 'maya',
      errors: [formErrors.notSignedIn],
    }),
  'second-factor-accounts': () => secondFactorPage({ ...journey, common: acorn, step: { number: 2, of: 3 }, expiresAt, attemptsLeft: 5 }),
  'second-factor-payment': () =>
    secondFactorPage({ ...journey, common: acorn, step: { number: 2, of: 3 }, expiresAt, attemptsLeft: 5, payment: paymentToConfirm }),
  'second-factor-last-try': () =>
    secondFactorPage({
      ...journey,
      common: acorn,
      step: { number: 2, of: 3 },
      expiresAt,
      attemptsLeft: 1,
      payment: paymentToConfirm,
      errors: [formErrors.codeWrong],
    }),
  'second-factor-dashboard': () => secondFactorPage({ ...journey, common: bank, expiresAt, cancel: false }),
  'choose-accounts': () => chooseAccountsPage(toShare),
  'choose-accounts-none-chosen': () => chooseAccountsPage({ ...toShare, errors: [formErrors.accountsMissing] }),
  'choose-accounts-renewal': () =>
    chooseAccountsPage({ ...toShare, renewal: true, accounts: accounts.map((account, index) => ({ ...account, selected: index < 2 })) }),
  'choose-accounts-changed': () =>
    chooseAccountsPage({ ...toShare, change, accounts: accounts.map((account, index) => ({ ...account, selected: index < 2 })) }),
  'choose-accounts-changed-in-nothing': () => chooseAccountsPage({ ...toShare, change: { added: [], removed: [] } }),
  'choose-accounts-asked-here-again': () => chooseAccountsPage({ ...toShare, reauthentication: 'eu_180d' }),
  'choose-accounts-none-eligible': () => chooseAccountsPage({ ...toShare, accounts: [accountThatCannotBeShared] }),
  'confirm-payment': () =>
    confirmPaymentPage({ ...journey, ...payment, common: mayaAtAcorn, step: { number: 3, of: 3 }, accounts: [everyday, rainyDay] }),
  'confirm-payment-none-chosen': () =>
    confirmPaymentPage({
      ...journey,
      ...payment,
      common: mayaAtAcorn,
      step: { number: 3, of: 3 },
      accounts: [everyday, rainyDay],
      errors: [formErrors.accountMissing],
    }),
  'confirm-payment-account-given': () =>
    confirmPaymentPage({
      ...journey,
      ...payment,
      common: mayaAtAcorn,
      step: { number: 3, of: 3 },
      debtor: everyday,
      refundAccountShared: true,
    }),
  'confirm-payment-beyond-own-limit': () =>
    confirmPaymentPage({
      ...journey,
      ...payment,
      common: mayaAtAcorn,
      errors: [formErrors.limitNotConfirmed],
      accounts: [
        { ...everyday, beyond: [{ id: 'lim_1', text: '£100.00 a day from all accounts together' }], selected: true },
        { ...rainyDay, beyond: [{ id: 'lim_2', text: '£50.00 for each payment from this account' }] },
      ],
    }),
  'confirm-payment-too-little': () =>
    confirmPaymentPage({ ...journey, ...payment, common: mayaAtAcorn, debtor: rainyDay, facts: [{ label: 'Charges', value: 'None' }] }),
  refused: () => refusedPage({ common: bank, ...answeredTexts({ bankName: 'Bankside', agreed: false }) }),
  done: () => donePage({ common: bank, ...answeredTexts({ bankName: 'Bankside', agreed: true }), continueHref: '/connected-accounts' }),
  ...problems(),
  'connected-accounts': () => connectedAccountsPage({ common: maya, active: consents, inactive: ended, signOut }),
  'own-limits': () =>
    ownLimitsPage({
      ...journey,
      common: maya,
      errors: [formErrors.limitAmountWrong],
      limits: [
        { id: 'lim_1', text: '£250.00 a day', of: 'Everyday, ending 4821', asks: true },
        { text: '£5,000.00 a month', of: 'All accounts', asks: false },
      ],
      places: [
        { id: 'acc_1', text: 'Everyday, ending 4821' },
        { id: 'GBP', text: 'All accounts in GBP together' },
      ],
      overviewHref: '/connected-accounts',
      signOut,
    }),
  'connected-accounts-stopped': () =>
    connectedAccountsPage({
      common: maya,
      active: [],
      inactive: ended,
      signOut,
      notifications: ['Acorn Money can no longer see your accounts.'],
    }),
  'connected-accounts-waiting': () =>
    connectedAccountsPage({
      common: maya,
      active: consents,
      inactive: [],
      signOut,
      waiting: { count: 2, href: '/connected-accounts/requests' },
    }),
  ...elsewhereStates,
  'connected-accounts-paused': () =>
    connectedAccountsPage({
      common: maya,
      active: consents.map((consent, index) => (index === 0 ? { ...consent, ...paused } : consent)),
      inactive: [],
      signOut,
    }),
  'connected-accounts-empty': () => connectedAccountsPage({ common: maya, active: [], inactive: [], signOut }),
  'connected-account': () => connectedAccountPage(connected),
  'connected-account-paused': () => connectedAccountPage({ ...connected, ...paused }),
  'connected-account-ended': () =>
    connectedAccountPage({
      ...connected,
      stop: undefined,
      statusLabel: 'Stopped',
      endedAt: new Date('2026-11-28T09:00:00Z'),
      endedBecause: 'You stopped it here.',
    }),
  'connected-account-payment': () => connectedAccountPage(onePayment),
  'stop-access': () =>
    stopAccessPage({
      ...journey,
      common: maya,
      thirdPartyName: 'Acorn Money',
      accounts: ['Everyday, ending 4821', 'Rainy day, ending 0377'],
      signOut,
    }),
  'sign-out': () => signOutPage({ ...journey, common: bank, fields: {} }),
  'sign-out-asked-by-company': () => signOutPage({ ...journey, common: acorn, fields: { client_id: 'acorn', state: 'x' } }),
  'signed-out': () => donePage({ common: bank, ...signOutTexts({ signedOut: true }) }),
  'signed-out-go-back': () => donePage({ common: acorn, ...signOutTexts({ signedOut: true }), continueHref: callback }),
  'stayed-signed-in': () => donePage({ common: bank, ...signOutTexts({ signedOut: false }), continueHref: '/connected-accounts' }),
  ...hostileStates,
}

const expiresAt = new Date('2026-11-21T14:10:00Z')
const callback = 'https://localhost:4438/callback?error=access_denied'
const about = { bankName: 'Bankside', thirdParty: 'Acorn Money' } as const
const paymentToConfirm = { ...payment, amount: payment.amountText }
const toShare = {
  ...journey,
  common: mayaAtAcorn,
  step: { number: 3, of: 3 },
  clusters,
  accounts: [...accounts, accountThatCannotBeShared],
  expiry: 'Until 21 November 2027',
  transactionWindow: 'From 21 May 2026 onwards',
} as const
const change = {
  added: ['Your direct debits', 'Details of your standing orders'],
  removed: ['Your card number'],
  expiry: { before: 'Until 21 May 2027', after: 'Until 21 November 2027' },
  transactionWindow: { before: 'From 21 August 2026 onwards', after: 'From 21 May 2026 onwards' },
}
const paused = {
  statusLabel: 'Paused',
  pausedBecause: 'We have blocked Acorn Money for now. It cannot see your accounts or pay from them.',
}

const connected: ConnectedAccount = {
  common: maya,
  thirdPartyName: 'Acorn Money',
  kindLabel: 'Sees your account information',
  statusLabel: 'Active',
  clusters,
  accounts,
  grantedAt: new Date('2026-11-21T14:05:00Z'),
  lastUsedAt: new Date('2026-11-27T06:12:00Z'),
  expiry: 'Until 21 November 2027',
  transactionWindow: 'From 21 May 2026 onwards',
  overviewHref: '/connected-accounts',
  stop: { formAction: '/connected-accounts/1', pageToken: 'c2FtcGxl' },
  signOut,
}
const onePayment: ConnectedAccount = {
  ...connected,
  thirdPartyName: 'Cobalt Pay',
  kindLabel: 'Made one payment',
  statusLabel: 'Used',
  clusters: [],
  accounts: accounts.slice(0, 1),
  transactionWindow: undefined,
  stop: undefined,
  proofHref: '/connected-accounts/2/proof',
  endedAt: new Date('2026-10-30T18:21:00Z'),
  payments: [{ payee: payment.payee, amountText: payment.amountText, statusText: 'Paid', at: new Date('2026-10-30T18:21:00Z') }],
}

function problems(): Record<string, () => Html> {
  const situations: Situation[] = [
    'locked',
    'request_expired',
    'request_changed',
    'page_expired',
    'other_customer',
    'no_eligible_account',
    'contact_bank',
  ]
  const page = (situation: Situation, payment: boolean) => () =>
    problemPage({ common: acorn, ...problemTexts(situation, { ...about, payment }), reference: '93bac548-d2de-4546', backHref: callback })
  return {
    ...Object.fromEntries(situations.map((situation) => [`problem-${situation.replaceAll('_', '-')}`, page(situation, true)])),
    'problem-unavailable': () => problemPage({ common: bank, ...problemTexts('unavailable', { bankName: 'Bankside', payment: false }) }),
    'problem-not-found': () => problemPage({ common: bank, ...problemTexts('not_found', { bankName: 'Bankside', payment: false }) }),
    'problem-fault': () =>
      problemPage({ common: bank, ...problemTexts('fault', { bankName: 'Bankside', payment: false }), reference: '93bac548-d2de-4546' }),
    'problem-request': () =>
      problemPage({
        common: bank,
        title: 'This link does not work',
        whatHappened: 'The company that sent you here made a mistake in its request, or the link was used before.',
        didMoneyMove: 'Opening it shared nothing and paid nothing.',
        whatToDo: 'Go back to the company you came from and start again.',
        reference: '93bac548-d2de-4546',
        protocolError: 'invalid_request_object: Request Object is missing the exp claim',
      }),
  }
}
