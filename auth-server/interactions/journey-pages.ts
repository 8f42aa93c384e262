import { asksForRefundAccount } from '@bankside/bank/consents/asks-for-refund-account'
import type { AccountAccessConsent, Consent, PaymentConsent } from '@bankside/bank/consents/consent'
import { type AccountToChoose, listEligibleAccounts } from '@bankside/bank/consents/list-eligible-accounts'
import { permissionChange, permissionTexts } from '@bankside/bank/consents/permission-texts'
import { type Limit, limitInWords } from '@bankside/bank/limits/limit'
import { softLimitsBeyond } from '@bankside/bank/limits/soft-limits'
import { chooseAccountsPage } from '@bankside/consent-ui/choose-accounts'
import { confirmPaymentPage } from '@bankside/consent-ui/confirm-payment'
import { formatPayeeAccount } from '@bankside/consent-ui/format/account-number'
import { formatAmount } from '@bankside/consent-ui/format/amount'
import { formatExpiry, formatTransactionWindow } from '@bankside/consent-ui/format/consent-terms'
import type { AccessChange, FormPage } from '@bankside/consent-ui/page'
import { secondFactorPage } from '@bankside/consent-ui/second-factor'
import { type SignInContext, signInPage } from '@bankside/consent-ui/sign-in'
import type { Html } from '@bankside/service-kit/html'
import type { Transaction } from '@bankside/service-kit/postgres'
import type { Config } from '../config.ts'
import { commonOf } from '../page-frame.ts'
import { signedIn } from './decide-step.ts'
import { pageToken, type Step } from './journey.ts'
import { journeys, type Visit } from './visit.ts'

/** The page that the journey is at, made from what is true now. */
export async function renderStep(tx: Transaction, visit: Visit, config: Config): Promise<Html> {
  const { state } = visit.journey
  const page = formPage(visit, config.SECRETS.form_keys)
  switch (state.step) {
    case 'sign_in':
      return signInPage({ ...page, username: state.username, cancel: true, context: contextOf(visit) })
    case 'second_factor':
      return secondFactorPage({ ...page, expiresAt: new Date(state.challengeExpiresAt ?? visit.now), payment: paymentOf(visit.consent) })
    case 'choose_accounts':
      return chooseAccounts(tx, visit, page, config)
    case 'confirm_payment':
      return confirmPayment(tx, visit, page)
    default:
      throw new Error(`no page shows ${state.step}`)
  }
}

function formPage({ interaction, client, journey, kind }: Visit, formKeys: readonly string[]): FormPage {
  const { step, errors, username } = journey.state
  const steps: readonly Step[] = journeys[kind].filter((name) => name !== 'finished')
  const fromTheStart = step === 'sign_in' || username !== undefined
  return {
    common: commonOf(client.clientName),
    formAction: `/interaction/${interaction.uid}`,
    pageToken: pageToken(formKeys, interaction.uid, journey.pageNumber),
    errors,
    ...(fromTheStart && { step: { number: steps.indexOf(step) + 1, of: steps.length } }),
  }
}

function contextOf({ consent, kind }: Visit): SignInContext {
  if (consent !== undefined && consent.kind !== 'account_access')
    return { kind: 'payment', payee: consent.creditor.name, amount: formatAmount(consent.amount) }
  return { kind: kind === 'first_party' ? 'first_party' : 'account_access' }
}

export function paymentOf(consent: Consent | undefined) {
  if (consent === undefined || consent.kind === 'account_access') return undefined
  const { creditor, amount, reference } = consent
  return { payee: creditor.name, payeeIdentification: formatPayeeAccount(creditor), amount: formatAmount(amount), reference }
}

type Shown = Pick<Visit, 'consent' | 'journey' | 'now'> & Partial<Pick<Visit, 'superseded'>>

export async function chooseAccounts(
  tx: Transaction,
  { consent, superseded, journey }: Shown,
  page: FormPage,
  config: Config,
): Promise<Html> {
  if (consent?.kind !== 'account_access') throw new Error('accounts are chosen for an account access')
  const chosenBefore = superseded === undefined ? consent : { ...consent, accountIds: superseded.accountIds }
  const accounts = await listEligibleAccounts(tx, { consent: chosenBefore, customerId: signedIn(journey.state) })
  const asksTransactions = consent.permissions.some((permission) => permission.startsWith('ReadTransactions'))
  return chooseAccountsPage({
    ...page,
    clusters: permissionTexts(consent.permissions),
    accounts: accounts.map((account) => ({
      id: account.id,
      nickname: account.nickname,
      ...describeAccount(account),
      currency: account.currency,
      eligible: account.ineligible === undefined,
      reason: account.ineligible === undefined ? undefined : 'This account is not open.',
      selected: account.selected,
    })),
    expiry: formatExpiry(consent.expiresAt),
    transactionWindow: asksTransactions ? formatTransactionWindow({ from: consent.transactionFrom, to: consent.transactionTo }) : undefined,
    reauthentication: config.ACCOUNT_REAUTHENTICATION,
    renewal: consent.customerId !== undefined,
    ...(superseded && { change: changeBetween(superseded, consent) }),
  })
}

/** CX-AIS-08: said in words, line by line, before the whole. */
function changeBetween(before: AccountAccessConsent, after: AccountAccessConsent): AccessChange {
  const { added, removed } = permissionChange(before.permissions, after.permissions)
  const windowOf = ({ transactionFrom, transactionTo }: AccountAccessConsent) =>
    formatTransactionWindow({ from: transactionFrom, to: transactionTo })
  const changed = (one: string, other: string) => (one === other ? undefined : { before: one, after: other })
  return {
    added: added.flatMap(({ lines }) => lines),
    removed: removed.flatMap(({ lines }) => lines),
    expiry: changed(formatExpiry(before.expiresAt), formatExpiry(after.expiresAt)),
    transactionWindow: changed(windowOf(before), windowOf(after)),
  }
}

export async function confirmPayment(tx: Transaction, { consent, journey, now }: Shown, page: FormPage): Promise<Html> {
  if (consent === undefined || consent.kind === 'account_access') throw new Error('a payment is confirmed for a payment')
  const customerId = signedIn(journey.state)
  const accounts = (await listEligibleAccounts(tx, { consent, customerId })).filter(({ ineligible }) => ineligible === undefined)
  const beyond = await softLimitsBeyond(tx, { consent, customerId, now })
  const choices = accounts.map((account) => ({ ...toPayFrom(account), beyond: (beyond.get(account.id) ?? []).map(ownLimit) }))
  return confirmPaymentPage({
    ...page,
    ...confirmation(consent),
    ...(consent.debtor === undefined ? { accounts: choices } : { debtor: choices[0] }),
  })
}

const ownLimit = (limit: Limit) => ({ id: limit.id, text: limitInWords(limit, formatAmount(limit.most)) })

const confirmation = (consent: PaymentConsent) => ({
  payee: consent.creditor.name,
  payeeIdentification: formatPayeeAccount(consent.creditor),
  amountText: formatAmount(consent.amount),
  reference: consent.reference,
  refundAccountShared: asksForRefundAccount(consent),
})

const toPayFrom = (account: AccountToChoose) => ({
  id: account.id,
  nickname: account.nickname,
  maskedIdentifier: describeAccount(account).maskedIdentifier,
  availableText: formatAmount(account.available),
  insufficient: account.insufficient,
})

const typeLabels = { CACC: 'Current account', SVGS: 'Savings account', OTHR: 'Account' } as const

export const describeAccount = ({ typeCode, lastFour }: { typeCode: keyof typeof typeLabels; lastFour: string }) => ({
  typeLabel: typeLabels[typeCode],
  maskedIdentifier: `ending ${lastFour}`,
})
