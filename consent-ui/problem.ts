import { type Html, html } from '@bankside/service-kit/html'
import { layout } from './components/layout.ts'
import { nameInText } from './components/name.ts'
import { wayOn } from './components/outcome.ts'
import type { Common } from './page.ts'

export type Problem = {
  readonly common: Common
  readonly title: string
  readonly whatHappened: string
  /** "No money has moved.": said whenever there could be doubt. */
  readonly didMoneyMove?: string | undefined
  readonly whatToDo: string
  /** What the customer can quote to us, and our logs hold. */
  readonly reference?: string | undefined
  /** The error in the protocol's terms, for whoever built the third party: customers send pictures of such pages. */
  readonly protocolError?: string | undefined
  readonly backHref?: string | undefined
}

/** Something went wrong: what happened, whether money moved, what to do, and the way back (CX-17). */
export function problemPage({ common, title, whatHappened, didMoneyMove, whatToDo, reference, protocolError, backHref }: Problem): Html {
  const content = html`<h1>${title}</h1>
      <p class="lead">${whatHappened}</p>
      ${didMoneyMove !== undefined && html`<p class="notice">${didMoneyMove}</p>`}
      <h2>What you can do</h2>
      <p>${whatToDo}</p>
      ${reference !== undefined && html`<p class="hint">If you contact us, quote <span class="reference">${reference}</span></p>`}
      ${protocolError !== undefined && html`<p class="hint">For the company that sent you <span class="reference">${protocolError}</span></p>`}
      ${backHref !== undefined && wayOn(common, backHref)}`
  return layout({ common, title: common.thirdParty ? `${title} – ${nameInText(common.thirdParty.name)}` : title, ends: false }, content)
}
