import { type Html, html } from '@bankside/service-kit/html'
import { button, linkButton } from './components/button.ts'
import { clusters as clusterList } from './components/clusters.ts'
import { form } from './components/form.ts'
import { layout } from './components/layout.ts'
import { linkTarget } from './components/link-target.ts'
import { name, nameInText, withoutDirectionControls } from './components/name.ts'
import { announcement } from './components/notice.ts'
import { statusTag } from './components/status-tag.ts'
import { type SummaryRow, summaryList } from './components/summary-list.ts'
import { formatDateTime } from './format/date.ts'
import type { Cluster, Common, SignOut } from './page.ts'

export type ConnectedAccount = {
  readonly common: Common
  readonly thirdPartyName: string
  readonly kindLabel: string
  readonly statusLabel: string
  /** What it may see; empty for a payment. */
  readonly clusters: readonly Cluster[]
  readonly accounts: readonly { readonly nickname: string; readonly typeLabel: string; readonly maskedIdentifier: string }[]
  readonly grantedAt: Date
  readonly renewedAt?: Date | undefined
  readonly lastUsedAt?: Date | undefined
  /** As `formatExpiry` writes it. */
  readonly expiry: string
  /** As `formatTransactionWindow` writes it. */
  readonly transactionWindow?: string | undefined
  readonly payments?:
    | readonly { readonly payee: string; readonly amountText: string; readonly statusText: string; readonly at: Date }[]
    | undefined
  readonly endedAt?: Date | undefined
  /** Why it ended, in a sentence. */
  readonly endedBecause?: string | undefined
  /** Why it cannot be used for now, in a sentence. */
  readonly pausedBecause?: string | undefined
  readonly notifications?: readonly string[] | undefined
  /** Where the file is that proves the payment. */
  readonly proofHref?: string | undefined
  readonly overviewHref: string
  /** Where the one button that stops access leads: to the page that asks once. Absent when there is nothing to stop. */
  readonly stop?: { readonly formAction: string; readonly pageToken: string } | undefined
  readonly signOut?: SignOut | undefined
}

/** One consent in full (DB-03), and one button to stop it (DB-04). The button posts `action=stop`. */
export function connectedAccountPage(page: ConnectedAccount): Html {
  const {
    common,
    thirdPartyName,
    kindLabel,
    statusLabel,
    clusters,
    endedAt,
    endedBecause,
    pausedBecause,
    notifications = [],
    overviewHref,
    proofHref,
    stop,
    signOut,
  } = page
  const content = html`<nav class="back-nav" aria-label="Back"><a class="back-link" href="${linkTarget(overviewHref)}">All connected accounts</a></nav>
      ${notifications.map(announcement)}
      <h1>${name(thirdPartyName)}</h1>
      <p class="lead status-line">${withoutDirectionControls(kindLabel)} ${statusTag(statusLabel, (endedAt ?? pausedBecause) === undefined)}</p>
      ${pausedBecause !== undefined && html`<p class="notice">${withoutDirectionControls(pausedBecause)}</p>`}
      ${endedBecause !== undefined && html`<p class="notice">${withoutDirectionControls(endedBecause)}</p>`}
      ${summaryList(rows(page))}
      ${clusters.length > 0 && html`<h2>What ${name(thirdPartyName)} ${(endedAt ?? pausedBecause) ? 'could' : 'can'} see</h2>${clusterList(clusters)}`}
      ${payments(page)}
      ${proofHref !== undefined && proofOf(proofHref)}
      ${stop && stopForm(stop, thirdPartyName)}`
  return layout({ common, title: `${nameInText(thirdPartyName)} – Connected accounts`, signOut }, content)
}

function rows({
  accounts,
  grantedAt,
  renewedAt,
  lastUsedAt,
  expiry,
  transactionWindow,
  endedAt,
}: ConnectedAccount): (SummaryRow | false | undefined)[] {
  return [
    {
      label: accounts.length === 1 ? 'Account' : 'Accounts',
      value: html`<ul class="plain-list" role="list">${accounts.map(({ nickname, typeLabel, maskedIdentifier }) => html`<li><span class="option-name">${name(nickname)}</span> <span class="option-detail">${typeLabel} · ${maskedIdentifier}</span></li>`)}</ul>`,
    },
    transactionWindow !== undefined && { label: 'Transactions', value: transactionWindow },
    { label: 'You said yes on', value: formatDateTime(grantedAt) },
    renewedAt && { label: 'You renewed it on', value: formatDateTime(renewedAt) },
    lastUsedAt && { label: 'Last used on', value: formatDateTime(lastUsedAt) },
    endedAt ? { label: 'Ended on', value: formatDateTime(endedAt) } : { label: 'Lasts', value: expiry },
  ]
}

function payments({ payments: made = [] }: ConnectedAccount): Html | false {
  return (
    made.length > 0 &&
    html`<h2>Payments</h2><ul class="plain-list payments" role="list">${made.map(({ payee, amountText, statusText, at }) => html`<li><span class="option-name">${amountText} to ${name(payee)}</span> <span class="option-detail">${statusText} · ${formatDateTime(at)}</span></li>`)}</ul>`
  )
}

function proofOf(href: string): Html {
  return html`<h2>Proof of this payment</h2>
      <p>A file signed by us. It shows what you agreed to and what was paid. Anyone you give it to can check it without us.</p>
      <div class="choices">${linkButton(href, 'Download proof')}</div>`
}

function stopForm(stop: { formAction: string; pageToken: string }, thirdPartyName: string): Html {
  return html`<h2>Stop access</h2>
      <p>You can stop at any time. You do not need to give a reason.</p>
      ${form(stop, html`<div class="choices">${button({ value: 'stop', text: html`Stop access for ${name(thirdPartyName)}` })}</div>`)}`
}
