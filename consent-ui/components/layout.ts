import { type Html, html } from '@bankside/service-kit/html'
import { type Common, idleMinutesDefault, type SignOut } from '../page.ts'
import { linkTarget } from './link-target.ts'
import { name } from './name.ts'
import { wordmark } from './wordmark.ts'

type Layout = {
  readonly common: Common
  /** Names the step and the third party (A11Y-05). */
  readonly title: string
  readonly hasErrors?: boolean | undefined
  readonly signOut?: SignOut | undefined
  /** False on a page that has nothing to wait for. */
  readonly ends?: boolean
}

/** The whole document around a page's content. */
export function layout({ common, title, hasErrors = false, signOut, ends = true }: Layout, content: Html): Html {
  return html`<!doctype html>
<html lang="${common.locale}">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <meta name="theme-color" content="#ffffff" media="(prefers-color-scheme: light)">
    <meta name="theme-color" content="#15201f" media="(prefers-color-scheme: dark)">
    <meta name="robots" content="noindex">
    <meta name="format-detection" content="telephone=no, date=no, address=no, email=no">
    <title>${hasErrors && 'Error: '}${title} – ${common.bankName}</title>
    <link rel="stylesheet" href="${linkTarget(common.cssHref)}">
    ${common.iconHref && html`<link rel="icon" type="image/svg+xml" href="${linkTarget(common.iconHref)}">`}
  </head>
  <body>
    <a class="skip-link" href="#main">Skip to main content</a>
    ${header(common, signOut)}
    <main class="page" id="main" tabindex="-1">
      ${content}
    </main>
    ${footer(common, ends)}
  </body>
</html>
`
}

function header({ bankName, signedInAs }: Common, signOut: SignOut | undefined): Html {
  return html`<header class="bar">
      <div class="bar-inside">
        ${wordmark(bankName)}
        ${(signedInAs || signOut) && html`<div class="signed-in">${signedInAs && html`<p>Signed in as ${name(signedInAs)}</p>`}${signOut && signOutForm(signOut)}</div>`}
      </div>
    </header>`
}

function signOutForm({ formAction, pageToken }: SignOut): Html {
  return html`<form method="post" action="${linkTarget(formAction)}">
      <input type="hidden" name="page_token" value="${pageToken}">
      <button class="link-button" name="action" value="sign_out">Sign out</button>
    </form>`
}

function footer({ bankName, helpHref, idleMinutes = idleMinutesDefault }: Common, ends: boolean): Html {
  return html`<footer class="foot">
      <div class="foot-inside">
        ${ends && html`<p>For your safety, this page stops working after ${idleMinutes} minutes without use.</p>`}
        ${helpHref ? html`<p><a href="${linkTarget(helpHref)}" target="_blank" rel="noopener noreferrer">Get help from ${bankName} (opens in a new tab)</a></p>` : html`<p>Need help? Call the number on the back of your card.</p>`}
      </div>
    </footer>`
}
