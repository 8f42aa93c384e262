import { icon, stylesheet } from './assets.ts'
import type { AccountToShare } from './choose-accounts.ts'
import type { AccountToPayFrom } from './confirm-payment.ts'
import type { ConsentSummary } from './connected-accounts.ts'
import { formatAmount } from './format/amount.ts'
import type { Cluster, Common } from './page.ts'

/** People, accounts and companies of the gallery. None is real. */
export const bank: Common = {
  bankName: 'Bankside',
  cssHref: stylesheet.href,
  iconHref: icon.href,
  helpHref: '/help',
  locale: 'en-GB',
}
export const acorn: Common = { ...bank, thirdParty: { name: 'Acorn Money' } }
export const maya: Common = { ...bank, signedInAs: 'Maya Okafor' }
export const mayaAtAcorn: Common = { ...acorn, signedInAs: 'Maya Okafor' }

export const journey = { formAction: '/interaction/4Lk1x', pageToken: 'c2FtcGxl' } as const
export const signOut = { formAction: '/connected-accounts/sign-out', pageToken: 'c2FtcGxl' } as const

export const clusters: readonly Cluster[] = [
  { title: 'Your account details', lines: ['Your account name, number and sort code', 'Your account balance'] },
  { title: 'Your regular payments', lines: ['Your direct debits', 'Details of your standing orders'] },
  { title: 'Your account transactions', lines: ['Details of your transactions'] },
]

const toShare = { currency: 'GBP', eligible: true, selected: false } as const

export const accounts: readonly AccountToShare[] = [
  { ...toShare, id: 'acc_1', nickname: 'Everyday', typeLabel: 'Current account', maskedIdentifier: 'ending 4821' },
  { ...toShare, id: 'acc_2', nickname: 'Rainy day', typeLabel: 'Savings account', maskedIdentifier: 'ending 0377' },
  {
    ...toShare,
    id: 'acc_3',
    nickname: 'Holidays in Lisbon',
    typeLabel: 'Currency account',
    maskedIdentifier: 'ending 9015',
    currency: 'EUR',
  },
]

export const accountThatCannotBeShared: AccountToShare = {
  ...toShare,
  id: 'acc_4',
  nickname: 'Kitchen loan',
  typeLabel: 'Loan',
  maskedIdentifier: 'ending 6642',
  eligible: false,
  reason: 'Loans cannot be shared.',
}

const pounds = (minor: bigint) => formatAmount({ minor, currency: 'GBP' })

export const everyday: AccountToPayFrom = {
  id: 'acc_1',
  nickname: 'Everyday',
  maskedIdentifier: 'ending 4821',
  availableText: pounds(124_350n),
  insufficient: false,
}
export const rainyDay: AccountToPayFrom = {
  id: 'acc_2',
  nickname: 'Rainy day',
  maskedIdentifier: 'ending 0377',
  availableText: pounds(9_125n),
  insufficient: true,
}

export const payment = {
  payee: 'ACME Garden Centre',
  payeeIdentification: 'Sort code 20-40-60, account number 12345678',
  amountText: pounds(16_588n),
  reference: 'FRESCO-101',
} as const

export const consents: readonly ConsentSummary[] = [
  {
    href: '/connected-accounts/1',
    thirdPartyName: 'Acorn Money',
    kindLabel: 'Sees your account information',
    statusLabel: 'Active',
    accounts: ['Everyday, ending 4821', 'Rainy day, ending 0377'],
    grantedAt: new Date('2026-11-21T14:05:00Z'),
    expiry: 'Until 21 November 2027',
  },
  {
    href: '/connected-accounts/2',
    thirdPartyName: 'Brightwater Budgeting',
    kindLabel: 'Sees your account information',
    statusLabel: 'Active',
    accounts: ['Everyday, ending 4821'],
    grantedAt: new Date('2026-07-02T08:30:00Z'),
    expiry: 'Until you stop it',
  },
]

export const ended: readonly ConsentSummary[] = [
  {
    href: '/connected-accounts/3',
    thirdPartyName: 'Cobalt Pay',
    kindLabel: 'Made one payment',
    statusLabel: 'Used',
    accounts: ['Everyday, ending 4821'],
    grantedAt: new Date('2026-10-30T18:20:00Z'),
    expiry: '',
    endedAt: new Date('2026-10-30T18:21:00Z'),
  },
]
