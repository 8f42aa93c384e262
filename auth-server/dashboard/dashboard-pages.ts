import { getCustomerConsent, listCustomerConsents } from '@bankside/bank/consents/list-customer-consents'
import { getProfile } from '@bankside/bank/customers/get-profile'
import { outcomeOfConsent } from '@bankside/bank/payments/outcome-of-consent'
import { connectedAccountPage } from '@bankside/consent-ui/connected-account'
import { connectedAccountsPage } from '@bankside/consent-ui/connected-accounts'
import { ownLimitsPage } from '@bankside/consent-ui/own-limits'
import { stopAccessPage } from '@bankside/consent-ui/stop-access'
import type { Html } from '@bankside/service-kit/html'
import type { Transaction } from '@bankside/service-kit/postgres'
import { listWaitingPrompts } from '../backchannel/prompt.ts'
import { commonOf } from '../page-frame.ts'
import type { StoredSeals } from '../storage/stored-seals.ts'
import { accountsOf, detailOf, hrefOf, namesOf, summaryOf } from './consent-views.ts'
import { actionToken, type DashboardSession } from './dashboard-session.ts'
import { limitsOf } from './limits-page.ts'

export const overviewHref = '/connected-accounts'
export const signInHref = `${overviewHref}/sign-in`
export const signOutHref = `${overviewHref}/sign-out`
export const waitingHref = `${overviewHref}/requests`
export const limitsHref = `${overviewHref}/limits`

/** One request of a customer who is signed in to the dashboard. */
export type DashboardVisit = {
  readonly session: DashboardSession
  /** The consent that the address names, if it names one. */
  readonly consentId: string
  /** The consent that was stopped by the request before this one. */
  readonly stopped: unknown
  /** What came of the form before this request. */
  readonly said: unknown
  readonly formKeys: readonly string[]
  readonly seals: StoredSeals
  readonly now: Date
}

type Page = (tx: Transaction, visit: DashboardVisit) => Promise<Html>

/** What each route shows. */
export const dashboardPages: Readonly<Record<string, Page>> = {
  dashboard: overview,
  dashboard_consent: detail,
  dashboard_stop: stop,
  dashboard_limits: limits,
}

/** What a form's token is for: one form's is no other's. */
export const purposes = {
  dashboard_consent: ({ consentId }: Pick<DashboardVisit, 'consentId'>) => `look ${consentId}`,
  dashboard_stop: ({ consentId }: Pick<DashboardVisit, 'consentId'>) => `stop ${consentId}`,
  dashboard_limits: () => 'limits',
  dashboard_sign_out: () => 'sign out',
} as const

async function overview(tx: Transaction, visit: DashboardVisit): Promise<Html> {
  const { session, seals, stopped, now } = visit
  const [given, accounts] = [await listCustomerConsents(tx, { ...session, now }), await accountsOf(tx, session.customerId)]
  const justStopped = given.find(({ consent, active }) => !active && consent.id === stopped)
  const summaries = (active: boolean) => given.filter((one) => one.active === active).map((one) => summaryOf(one, accounts))
  return connectedAccountsPage({
    ...(await frame(tx, visit)),
    active: summaries(true),
    inactive: summaries(false),
    limitsHref,
    waiting: { count: (await listWaitingPrompts(tx, { ...session, seals, now })).length, href: waitingHref },
    ...(justStopped && { notifications: [`You stopped access for ${justStopped.clientName}.`] }),
  })
}

async function detail(tx: Transaction, visit: DashboardVisit): Promise<Html> {
  const { session, formKeys } = visit
  const given = await getCustomerConsent(tx, { ...visit, ...session })
  const stoppable = given.active && given.consent.kind === 'account_access'
  const outcome = given.consent.status === 'COND' ? await outcomeOfConsent(tx, given.consent.id) : undefined
  return connectedAccountPage({
    ...(await frame(tx, visit)),
    ...detailOf(given, await accountsOf(tx, session.customerId), outcome),
    overviewHref,
    ...(outcome && { proofHref: `${hrefOf(given)}/proof` }),
    ...(stoppable && { stop: { formAction: hrefOf(given), pageToken: actionToken(formKeys, session, purposes.dashboard_consent(visit)) } }),
  })
}

async function stop(tx: Transaction, visit: DashboardVisit): Promise<Html> {
  const { session, formKeys } = visit
  const given = await getCustomerConsent(tx, { ...visit, ...session })
  return stopAccessPage({
    ...(await frame(tx, visit)),
    formAction: `${hrefOf(given)}/stop`,
    pageToken: actionToken(formKeys, session, purposes.dashboard_stop(visit)),
    thirdPartyName: given.clientName,
    accounts: namesOf(given, await accountsOf(tx, session.customerId)),
  })
}

async function limits(tx: Transaction, visit: DashboardVisit): Promise<Html> {
  const { session, formKeys, said } = visit
  return ownLimitsPage({
    ...(await frame(tx, visit)),
    ...(await limitsOf(tx, session.customerId, said)),
    formAction: limitsHref,
    pageToken: actionToken(formKeys, session, purposes.dashboard_limits()),
    overviewHref,
  })
}

const frame = async (tx: Transaction, { session, formKeys }: DashboardVisit) => ({
  common: commonOf(undefined, (await getProfile(tx, session.customerId))?.fullName),
  signOut: { formAction: signOutHref, pageToken: actionToken(formKeys, session, purposes.dashboard_sign_out()) },
})
