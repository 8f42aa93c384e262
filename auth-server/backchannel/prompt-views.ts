import type { Consent } from '@bankside/bank/consents/consent'
import { readConsent } from '@bankside/bank/consents/get-consent'
import { getProfile } from '@bankside/bank/customers/get-profile'
import { confirmRequestPage } from '@bankside/consent-ui/confirm-request'
import { formatAmount } from '@bankside/consent-ui/format/amount'
import type { FormPage } from '@bankside/consent-ui/page'
import { secondFactorPage } from '@bankside/consent-ui/second-factor'
import { type WaitingRequest, waitingRequestsPage } from '@bankside/consent-ui/waiting-requests'
import type { Html } from '@bankside/service-kit/html'
import type { Transaction } from '@bankside/service-kit/postgres'
import type { Config } from '../config.ts'
import { overviewHref, signOutHref, waitingHref } from '../dashboard/dashboard-pages.ts'
import { actionToken, type DashboardSession } from '../dashboard/dashboard-session.ts'
import { pageToken, type Step } from '../interactions/journey.ts'
import { chooseAccounts, confirmPayment, paymentOf } from '../interactions/journey-pages.ts'
import { commonOf } from '../page-frame.ts'
import type { StoredSeals } from '../storage/stored-seals.ts'
import { listWaitingPrompts, type Prompt } from './prompt.ts'
import { type PromptVisit, promptSteps } from './prompt-visit.ts'

export const hrefOfPrompt = ({ requestId }: Prompt): string => `${waitingHref}/${requestId}`

export type Looking = {
  readonly session: DashboardSession
  readonly formKeys: readonly string[]
  readonly seals: StoredSeals
  readonly now: Date
}

export async function renderWaiting(tx: Transaction, { session, formKeys, seals, now }: Looking): Promise<Html> {
  const { customerId } = session
  const requests: WaitingRequest[] = []
  for (const prompt of await listWaitingPrompts(tx, { customerId, seals, now })) requests.push(await summaryOf(tx, prompt))
  return waitingRequestsPage({
    common: commonOf(undefined, (await getProfile(tx, customerId))?.fullName),
    requests,
    overviewHref,
    signOut: { formAction: signOutHref, pageToken: actionToken(formKeys, session, 'sign out') },
  })
}

async function summaryOf(tx: Transaction, prompt: Prompt): Promise<WaitingRequest> {
  const consent = prompt.consentId && (await readConsent(tx, prompt.consentId))
  return {
    href: hrefOfPrompt(prompt),
    thirdPartyName: prompt.clientName,
    kindLabel: kindLabelOf(consent || undefined),
    bindingMessage: prompt.bindingMessage,
    askedAt: prompt.askedAt,
    expiresAt: prompt.expiresAt,
  }
}

function kindLabelOf(consent: Consent | undefined): string {
  if (consent === undefined) return 'Wants to know that it is you'
  if (consent.kind === 'account_access') return 'Wants to see your account information'
  return `Wants you to pay ${formatAmount(consent.amount)} to ${consent.creditor.name}`
}

/** The page that the prompt is at, made from what is true now: the same as on the way to a third party. */
export async function renderPrompt(tx: Transaction, visit: PromptVisit, config: Config): Promise<Html> {
  const { journey, consent, now } = visit
  const signedInAs = (await getProfile(tx, visit.session.customerId))?.fullName
  const page = { ...formPage(visit, config.SECRETS.form_keys), common: commonOf(visit.prompt.clientName, signedInAs) }
  switch (journey.state.step) {
    case 'second_factor':
      return secondFactorPage({ ...page, expiresAt: new Date(journey.state.challengeExpiresAt ?? now), payment: paymentOf(consent) })
    case 'choose_accounts':
      return chooseAccounts(tx, visit, page, config)
    case 'confirm_payment':
      return confirmPayment(tx, visit, page)
    case 'confirm_request':
      return confirmRequestPage({ ...page, lines: linesOf(String(visit.prompt.params['scope'] ?? '')) })
    default:
      throw new Error(`no page shows ${journey.state.step}`)
  }
}

function formPage(visit: PromptVisit, formKeys: readonly string[]): Omit<FormPage, 'common'> {
  const { prompt, journey, kind } = visit
  const steps: readonly Step[] = promptSteps[kind].filter((step) => step !== 'finished')
  return {
    formAction: hrefOfPrompt(prompt),
    pageToken: pageToken(formKeys, visit.journeyKey.interactionUid, journey.pageNumber),
    errors: journey.state.errors,
    elsewhere: { bindingMessage: prompt.bindingMessage },
    ...(steps.length > 1 && { step: { number: steps.indexOf(journey.state.step) + 1, of: steps.length } }),
  }
}

/** What the bank's own apps may be allowed, in the customer's words. */
const scopeTexts: Readonly<Record<string, string>> = {
  profile: 'See your name',
  'accounts:read': 'See your accounts and what is in them',
  'transactions:read': 'See what went in and out',
  'payments:write': 'Prepare payments, which you confirm one by one',
  'beneficiaries:read': 'See the people you pay',
  'beneficiaries:write': 'Add people you pay',
}

const linesOf = (scope: string): string[] => scope.split(' ').flatMap((name) => scopeTexts[name] ?? [])
