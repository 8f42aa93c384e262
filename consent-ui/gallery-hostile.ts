import type { Html } from '@bankside/service-kit/html'
import { chooseAccountsPage } from './choose-accounts.ts'
import { confirmPaymentPage } from './confirm-payment.ts'
import { confirmRequestPage } from './confirm-request.ts'
import { connectedAccountPage } from './connected-account.ts'
import { connectedAccountsPage } from './connected-accounts.ts'
import { formatAmount } from './format/amount.ts'
import { accounts, accountThatCannotBeShared, clusters, everyday, journey, maya, signOut } from './gallery-subjects.ts'
import { secondFactorPage } from './second-factor.ts'
import { signInPage } from './sign-in.ts'
import { signOutPage } from './sign-out.ts'
import { stopAccessPage } from './stop-access.ts'
import { waitingRequestsPage } from './waiting-requests.ts'

/** Names that registrations can bring: markup, a text without a place to break, another direction, one that tries to turn the line round, pictures. */
export const hostileNames = {
  markup: `<script>document.title='taken'</script><img src=x onerror="document.title='taken'">" onfocus="alert(1)" autofocus x="&amp;`,
  endless: 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft'.repeat(2),
  wordy:
    'The Honourable Company of Reasonably Priced Household Budgeting and Savings Applications (Northern Ireland) Limited on behalf of Acorn',
  arabic: 'شركة البلوط للخدمات المالية',
  override: 'Acorn \u202eyenoM\u202d Pay\u2067',
  emoji: '🌰💷 Acorn 👩🏽‍💻🏳️‍🌈',
} as const

const hugeAmount = formatAmount({ minor: 1_234_567_890_123_456n, currency: 'GBP' })
const expiresAt = new Date('2026-07-21T14:10:00Z')

const forEach = (page: (who: string, kind: string) => Html, prefix: string): Record<string, () => Html> =>
  Object.fromEntries(Object.entries(hostileNames).map(([kind, who]) => [`${prefix}-${kind}`, () => page(who, kind)]))

const common = (who: string) => ({ ...maya, signedInAs: who, thirdParty: { name: who } })

/** The pages with names, amounts and lists as bad as they come. */
export const hostileStates: Readonly<Record<string, () => Html>> = {
  ...forEach(
    (who) =>
      signInPage({
        ...journey,
        common: common(who),
        cancel: true,
        username: who,
        context: { kind: 'payment', payee: who, amount: hugeAmount },
      }),
    'hostile-sign-in',
  ),
  ...forEach((who) => chooseAccountsPage({ ...twelveAccounts(who), common: common(who) }), 'hostile-choose-accounts'),
  ...forEach((who) => confirmPaymentPage({ ...payTo(who), common: common(who) }), 'hostile-confirm-payment'),
  ...forEach(
    (who) =>
      waitingRequestsPage({
        common: common(who),
        overviewHref: '/connected-accounts',
        signOut,
        requests: [
          {
            href: '/connected-accounts/requests/1',
            thirdPartyName: who,
            kindLabel: `Wants you to pay ${hugeAmount} to ${who}`,
            bindingMessage: who,
            askedAt: expiresAt,
            expiresAt,
          },
        ],
      }),
    'hostile-waiting-requests',
  ),
  'hostile-confirm-request': () =>
    confirmRequestPage({
      ...journey,
      common: common(hostileNames.endless),
      elsewhere: { bindingMessage: hostileNames.endless },
      lines: [],
    }),
  ...forEach((who) => signOutPage({ ...journey, common: common(who), fields: { state: who } }), 'hostile-sign-out'),
  'hostile-second-factor': () =>
    secondFactorPage({
      ...journey,
      common: common(hostileNames.wordy),
      expiresAt,
      attemptsLeft: 2,
      payment: {
        payee: hostileNames.endless,
        payeeIdentification: hostileNames.endless,
        amount: hugeAmount,
        reference: hostileNames.markup,
      },
    }),
  'hostile-connected-accounts': () =>
    connectedAccountsPage({
      common: maya,
      active: Object.values(hostileNames).map((thirdPartyName) => ({ ...consent, thirdPartyName, accounts: Object.values(hostileNames) })),
      inactive: [],
      notifications: [hostileNames.markup],
      signOut,
    }),
  'hostile-connected-account': () =>
    connectedAccountPage({
      ...consent,
      common: maya,
      thirdPartyName: hostileNames.markup,
      clusters,
      accounts: twelveAccounts(hostileNames.endless).accounts,
      overviewHref: '/connected-accounts',
      stop: journey,
    }),
  'hostile-stop-access': () =>
    stopAccessPage({ ...journey, common: maya, thirdPartyName: hostileNames.override, accounts: Object.values(hostileNames) }),
}

const consent = {
  href: '/connected-accounts/1',
  kindLabel: 'Sees your account information',
  statusLabel: 'Active',
  grantedAt: new Date('2026-07-02T08:30:00Z'),
  expiry: 'Until you stop it',
}

function twelveAccounts(nickname: string) {
  const twelve = Array.from({ length: 12 }, (_, index) => ({
    ...(accounts[index % accounts.length] ?? accountThatCannotBeShared),
    id: `acc_${index}`,
    nickname: index % 3 === 0 ? nickname : `Account ${index + 1}`,
  }))
  return {
    ...journey,
    clusters,
    accounts: [...twelve, { ...accountThatCannotBeShared, nickname, reason: nickname }],
    expiry: 'Until you stop it',
    purpose: nickname,
  }
}

function payTo(who: string) {
  const accounts = [
    { ...everyday, nickname: who, availableText: hugeAmount },
    { ...everyday, id: 'acc_2', insufficient: true },
  ]
  return { ...journey, payee: who, payeeIdentification: who, amountText: hugeAmount, reference: who, accounts }
}
