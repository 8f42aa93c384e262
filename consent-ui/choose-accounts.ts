import { type Html, html } from '@bankside/service-kit/html'
import { accessChange } from './components/access-change.ts'
import { accountChoice } from './components/account-choice.ts'
import { button } from './components/button.ts'
import { clusters } from './components/clusters.ts'
import { cancelText, choices, form, formHeading, ifCancelled } from './components/form.ts'
import { layout } from './components/layout.ts'
import { name, nameInText } from './components/name.ts'
import { summaryList } from './components/summary-list.ts'
import type { AccessChange, Cluster, FormPage } from './page.ts'

export type AccountToShare = {
  readonly id: string
  readonly nickname: string
  readonly typeLabel: string
  /** As `maskAccountNumber` writes it. */
  readonly maskedIdentifier: string
  readonly currency: string
  readonly eligible: boolean
  /** Why an account cannot be shared. */
  readonly reason?: string | undefined
  /** Chosen before: by this customer on this page, for this consent earlier, or named by the third party. Never on a first consent (CX-14). */
  readonly selected: boolean
}

export type ChooseAccounts = FormPage & {
  readonly clusters: readonly Cluster[]
  readonly accounts: readonly AccountToShare[]
  /** As `formatExpiry` writes it. */
  readonly expiry: string
  /** As `formatTransactionWindow` writes it; absent when no transactions are asked for. */
  readonly transactionWindow?: string | undefined
  readonly purpose?: string | undefined
  /** A consent given before is given again: same information, same accounts to begin with (CX-AIS-08). */
  readonly renewal?: boolean | undefined
  /** What was shared until now ends, and this takes its place. */
  readonly change?: AccessChange | undefined
  /** Who asks again, and how often: the third party its customer (UK, CX-AIS-04, RA-01), or the bank, with both factors (EU). */
  readonly reauthentication?: 'uk_10a' | 'eu_180d' | undefined
}

/** Field `account`, repeated; `action` is `confirm` or `cancel`. */
export function chooseAccountsPage(page: ChooseAccounts): Html {
  const { common, errors, purpose, accounts, change } = page
  const thirdParty = common.thirdParty?.name ?? ''
  const who = name(thirdParty)
  const canShare = accounts.some(({ eligible }) => eligible)
  const words = wordsOf(page, who)
  const content = html`${formHeading(page, words.heading)}
      <p class="lead">${words.lead}</p>
      ${change && html`<h2>What changes</h2>${accessChange(change)}`}
      ${purpose && html`<p>What it is for: ${name(purpose)}</p>`}
      <h2>${words.whatHeading}</h2>
      ${clusters(page.clusters)}
      <h2>How long, and how to stop</h2>
      ${terms(page, who)}
      ${form(
        page,
        html`${canShare && choice(page, who)}
        ${notEligible(accounts)}
        ${canShare && choices({ confirm: words.confirm, confirmValue: 'confirm', cancel: cancelText(page) })}
        ${!canShare && html`<div class="choices">${button({ value: 'cancel', text: page.elsewhere ? 'Say no' : html`Go back to ${who}` })}</div>`}
        <p class="hint">${ifCancelled(page, words.nothing)}</p>`,
      )}`
  const title = `${words.title} ${nameInText(thirdParty)}`
  return layout({ common, title, hasErrors: Boolean(errors?.length) }, content)
}

function wordsOf({ renewal, change }: ChooseAccounts, who: Html) {
  if (change !== undefined)
    return {
      title: 'Change what you share with',
      heading: html`Change what you share with ${who}`,
      lead: html`${who} sees some of your information already, and has asked to change that. They can only look: they cannot move money.`,
      whatHeading: html`What ${who} will see after the change`,
      confirm: 'Agree to the change',
      nothing: 'nothing changes',
    }
  const first = {
    title: 'Choose accounts to share with',
    heading: html`Share account information with ${who}`,
    lead: html`${who} has asked to see the information below. They can only look: they cannot move money.`,
    whatHeading: html`What ${who} will see`,
    confirm: 'Share these accounts',
    nothing: 'nothing is shared',
  }
  if (!renewal) return first
  return {
    ...first,
    title: 'Keep sharing accounts with',
    heading: html`Keep sharing account information with ${who}`,
    lead: html`You have shared this with ${who} before. What they can see has not changed.`,
    confirm: 'Keep sharing these accounts',
  }
}

const askedAgain = {
  uk_10a: (who: Html) => html`${who} must also ask you at least every 90 days if you still want it.`,
  eu_180d: (who: Html) => html`Every 180 days ${who} must send you here again, to sign in and agree.`,
} as const

function terms({ expiry, transactionWindow, reauthentication = 'uk_10a' }: ChooseAccounts, who: Html): Html {
  return summaryList([
    {
      label: 'Sharing lasts',
      value: html`${expiry}. ${askedAgain[reauthentication](who)}`,
    },
    transactionWindow !== undefined && { label: 'Transactions', value: transactionWindow },
    { label: 'To stop', value: html`You can stop at any time, in <strong>Connected accounts</strong> at your bank or with ${who}.` },
  ])
}

function choice({ accounts, errors }: ChooseAccounts, who: Html): Html {
  const options = accounts
    .filter(({ eligible }) => eligible)
    .map((account) => ({ id: account.id, nickname: account.nickname, description: describe(account), selected: account.selected }))
  return accountChoice({
    type: 'checkbox',
    legend: html`Which accounts may ${who} see?`,
    hint: 'Choose one or more. Only the accounts you choose are shared.',
    options,
    errors,
  })
}

/** An account is in pounds unless its line says otherwise. */
function describe({ typeLabel, maskedIdentifier, currency }: AccountToShare): string {
  return [typeLabel, maskedIdentifier, currency !== 'GBP' && `in ${currency}`].filter(Boolean).join(' · ')
}

function notEligible(accounts: readonly AccountToShare[]): Html | false {
  const others = accounts.filter(({ eligible }) => !eligible)
  return (
    others.length > 0 &&
    html`<section class="others" aria-labelledby="others-heading">
          <h2 id="others-heading">Accounts you cannot share</h2>
          <ul class="plain-list" role="list">${others.map((account) => html`<li><span class="option-name">${name(account.nickname)}</span> <span class="option-detail">${describe(account)}</span> <span class="option-detail">${name(account.reason ?? 'This account cannot be shared.')}</span></li>`)}</ul>
        </section>`
  )
}
