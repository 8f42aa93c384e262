import { type Html, html } from '@bankside/service-kit/html'
import { layout } from './components/layout.ts'
import { linkTarget } from './components/link-target.ts'
import { name, withoutDirectionControls } from './components/name.ts'
import { announcement, notice } from './components/notice.ts'
import { statusTag } from './components/status-tag.ts'
import { summaryList } from './components/summary-list.ts'
import { formatDate } from './format/date.ts'
import type { Common, SignOut } from './page.ts'

/** One consent as the overview shows it (DB-02). */
export type ConsentSummary = {
  readonly href: string
  /** Trading name, with its agent form (CX-01, CX-02). */
  readonly thirdPartyName: string
  /** What it allows, in plain words: "Sees your account information". */
  readonly kindLabel: string
  /** "Active", "Paused", "Stopped", "Ended", "Used". */
  readonly statusLabel: string
  /** Nicknames with the end of the number. */
  readonly accounts: readonly string[]
  readonly grantedAt: Date
  /** As `formatExpiry` writes it. */
  readonly expiry: string
  readonly endedAt?: Date | undefined
  /** Why it cannot be used for now, though it has not ended. */
  readonly pausedBecause?: string | undefined
}

export type ConnectedAccounts = {
  readonly common: Common
  readonly active: readonly ConsentSummary[]
  readonly inactive: readonly ConsentSummary[]
  /** What has just happened: "You stopped Acorn Money." */
  readonly notifications?: readonly string[] | undefined
  /** What companies have asked and the customer has not answered yet. */
  readonly waiting?: { readonly count: number; readonly href: string } | undefined
  /** The page on which customers limit what is paid. */
  readonly limitsHref?: string | undefined
  readonly signOut?: SignOut | undefined
}

/** Who has access to what, since when and until when; ended ones apart (DB-06). */
export function connectedAccountsPage({
  common,
  active,
  inactive,
  notifications = [],
  waiting,
  limitsHref,
  signOut,
}: ConnectedAccounts): Html {
  const paused = active.filter(({ pausedBecause }) => pausedBecause !== undefined)
  const usable = active.filter(({ pausedBecause }) => pausedBecause === undefined)
  const content = html`${notifications.map(announcement)}
      <h1>Connected accounts</h1>
      ${waiting && waiting.count > 0 && notice(html`<a href="${linkTarget(waiting.href)}">${waiting.count === 1 ? 'One request waits' : `${waiting.count} requests wait`} for your answer</a>`)}
      <p class="lead">${active.length + inactive.length > 0 ? 'These companies can see your accounts or have paid from them, because you said yes. You can stop any of them at any time.' : 'When you let a company see your accounts, you will find it here. You can then stop it at any time.'}</p>
      ${limitsHref !== undefined && html`<p><a href="${linkTarget(limitsHref)}">Limit what can be paid</a></p>`}
      <h2>Active now</h2>
      ${usable.length === 0 ? html`<p class="empty">No company can see your accounts.</p>` : list(usable)}
      ${paused.length > 0 && html`<h2>Paused</h2>${list(paused)}`}
      ${inactive.length > 0 && html`<h2>Ended</h2>${list(inactive)}`}`
  return layout({ common, title: 'Connected accounts', signOut }, content)
}

function list(consents: readonly ConsentSummary[]): Html {
  return html`<ul class="consents" role="list">${consents.map((consent) => html`<li class="consent">${card(consent)}</li>`)}</ul>`
}

function card(summary: ConsentSummary): Html {
  const { href, thirdPartyName, kindLabel, statusLabel, accounts, grantedAt, expiry, endedAt, pausedBecause } = summary
  return html`<div class="consent-heading"><h3><a href="${linkTarget(href)}">${name(thirdPartyName)}</a></h3>${statusTag(statusLabel, (endedAt ?? pausedBecause) === undefined)}</div>
        <p>${withoutDirectionControls(kindLabel)}</p>
        ${pausedBecause !== undefined && html`<p class="notice">${withoutDirectionControls(pausedBecause)}</p>`}
        ${summaryList([
          {
            label: accounts.length === 1 ? 'Account' : 'Accounts',
            value: html`<ul class="plain-list" role="list">${accounts.map((account) => html`<li>${name(account)}</li>`)}</ul>`,
          },
          { label: 'Since', value: formatDate(grantedAt) },
          endedAt ? { label: 'Ended', value: formatDate(endedAt) } : { label: 'Lasts', value: expiry },
        ])}`
}
