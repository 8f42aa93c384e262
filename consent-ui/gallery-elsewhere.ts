import type { Html } from '@bankside/service-kit/html'
import { chooseAccountsPage } from './choose-accounts.ts'
import { confirmPaymentPage } from './confirm-payment.ts'
import { confirmRequestPage } from './confirm-request.ts'
import { donePage } from './done.ts'
import {
  accounts,
  accountThatCannotBeShared,
  bank,
  clusters,
  everyday,
  journey,
  maya,
  mayaAtAcorn,
  payment,
  rainyDay,
  signOut,
} from './gallery-subjects.ts'
import { problemPage } from './problem.ts'
import { refusedPage } from './refused.ts'
import { secondFactorPage } from './second-factor.ts'
import { answeredElsewhereTexts, problemTexts } from './situations.ts'
import { type WaitingRequest, waitingRequestsPage } from './waiting-requests.ts'

const elsewhere = { bindingMessage: 'A4-7Q' } as const
const page = { ...journey, formAction: '/connected-accounts/requests/1', common: mayaAtAcorn } as const
const deskCommon = { ...maya, thirdParty: { name: 'Bankside by phone' } } as const
const overviewHref = '/connected-accounts'

const requests: readonly WaitingRequest[] = [
  {
    href: '/connected-accounts/requests/1',
    thirdPartyName: 'Acorn Money',
    kindLabel: `Wants you to pay ${payment.amountText} to ${payment.payee}`,
    bindingMessage: 'A4-7Q',
    askedAt: new Date('2026-11-21T14:05:00Z'),
    expiresAt: new Date('2026-11-21T14:10:00Z'),
  },
  {
    href: '/connected-accounts/requests/2',
    thirdPartyName: 'Brightwater Budgeting',
    kindLabel: 'Wants to see your account information',
    askedAt: new Date('2026-11-21T14:06:00Z'),
    expiresAt: new Date('2026-11-21T14:11:00Z'),
  },
]

/** The pages on which a customer answers a company that waits elsewhere. */
export const elsewhereStates: Readonly<Record<string, () => Html>> = {
  'waiting-requests': () => waitingRequestsPage({ common: maya, requests, overviewHref, signOut }),
  'waiting-requests-none': () => waitingRequestsPage({ common: maya, requests: [], overviewHref, signOut }),
  'elsewhere-second-factor-payment': () =>
    secondFactorPage({
      ...page,
      elsewhere,
      step: { number: 1, of: 2 },
      expiresAt: new Date('2026-11-21T14:10:00Z'),
      payment: { ...payment, amount: payment.amountText },
    }),
  'elsewhere-confirm-payment': () =>
    confirmPaymentPage({ ...page, ...payment, elsewhere, step: { number: 2, of: 2 }, accounts: [everyday, rainyDay] }),
  'elsewhere-choose-accounts': () => chooseAccountsPage({ ...page, elsewhere, clusters, accounts, expiry: 'Until 21 November 2027' }),
  'elsewhere-choose-accounts-no-words': () =>
    chooseAccountsPage({ ...page, elsewhere: {}, clusters, accounts, expiry: 'Until 21 November 2027' }),
  'elsewhere-choose-accounts-none-eligible': () =>
    chooseAccountsPage({ ...page, elsewhere, clusters, accounts: [accountThatCannotBeShared], expiry: 'Until 21 November 2027' }),
  'elsewhere-confirm-request': () =>
    confirmRequestPage({ ...page, common: deskCommon, elsewhere, lines: ['See your accounts and what is in them'] }),
  'elsewhere-confirm-request-only-who': () => confirmRequestPage({ ...page, common: deskCommon, elsewhere, lines: [] }),
  'elsewhere-said-yes': () =>
    donePage({ common: bank, ...answeredElsewhereTexts({ thirdParty: 'Acorn Money', agreed: true }), continueHref: overviewHref }),
  'elsewhere-said-no': () =>
    refusedPage({ common: bank, ...answeredElsewhereTexts({ thirdParty: 'Acorn Money', agreed: false }), continueHref: overviewHref }),
  'elsewhere-expired': () =>
    problemPage({
      common: bank,
      ...problemTexts('request_expired', { bankName: 'Bankside', thirdParty: 'Acorn Money', payment: true }),
      backHref: overviewHref,
    }),
}
