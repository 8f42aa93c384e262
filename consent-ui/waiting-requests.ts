import { type Html, html } from '@bankside/service-kit/html'
import { layout } from './components/layout.ts'
import { linkTarget } from './components/link-target.ts'
import { name, withoutDirectionControls } from './components/name.ts'
import { summaryList } from './components/summary-list.ts'
import { formatTime } from './format/date.ts'
import type { Common, SignOut } from './page.ts'

/** What a company has asked from elsewhere, and the customer has not answered yet. */
export type WaitingRequest = {
  readonly href: string
  readonly thirdPartyName: string
  /** What it wants, in plain words: "Wants to see your account information". */
  readonly kindLabel: string
  readonly bindingMessage?: string | undefined
  readonly askedAt: Date
  readonly expiresAt: Date
}

export type WaitingRequests = {
  readonly common: Common
  readonly requests: readonly WaitingRequest[]
  readonly overviewHref: string
  readonly signOut?: SignOut | undefined
}

/** Who wants what, and the words that tell one request from another (CIBA-13). Each is answered on a page of its own. */
export function waitingRequestsPage({ common, requests, overviewHref, signOut }: WaitingRequests): Html {
  const content = html`<nav class="back-nav" aria-label="Back"><a class="back-link" href="${linkTarget(overviewHref)}">All connected accounts</a></nav>
      <h1>Waiting for your answer</h1>
      <p class="lead">${requests.length > 0 ? 'Choose a request to see all of it, and then say yes or no. If you did not ask a company for something, say no.' : 'When you ask a company for something on the phone or in a shop, you answer it here.'}</p>
      ${requests.length === 0 ? html`<p class="empty">Nothing is waiting for your answer.</p>` : list(requests)}`
  return layout({ common, title: 'Waiting for your answer', signOut }, content)
}

function list(requests: readonly WaitingRequest[]): Html {
  return html`<ul class="consents" role="list">${requests.map((request) => html`<li class="consent">${card(request)}</li>`)}</ul>`
}

function card({ href, thirdPartyName, kindLabel, bindingMessage, askedAt, expiresAt }: WaitingRequest): Html {
  return html`<div class="consent-heading"><h2><a href="${linkTarget(href)}">${name(thirdPartyName)}</a></h2></div>
        <p>${withoutDirectionControls(kindLabel)}</p>
        ${summaryList([
          bindingMessage !== undefined && { label: 'Words to compare', value: bindingMessage },
          { label: 'Asked at', value: formatTime(askedAt) },
          { label: 'Answer before', value: formatTime(expiresAt) },
        ])}`
}
