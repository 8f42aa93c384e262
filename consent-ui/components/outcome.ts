import { type Html, html } from '@bankside/service-kit/html'
import type { Common } from '../page.ts'
import { linkButton } from './button.ts'
import { layout } from './layout.ts'
import { name, nameInText } from './name.ts'

/** How something ended. `continueHref` leads back to the third party, or on in the bank. */
export type Outcome = {
  readonly common: Common
  readonly title: string
  readonly lines: readonly string[]
  readonly continueHref?: string | undefined
}

/** A page that only tells: sign, title, lines, and the way on. */
export function outcomePage({ common, title, lines, continueHref }: Outcome, kind: 'done' | 'refused'): Html {
  const content = html`<div class="outcome outcome-${kind}">
        ${sign(kind)}
        <h1>${title}</h1>
        ${lines.map((line) => html`<p>${line}</p>`)}
      </div>
      ${continueHref !== undefined && wayOn(common, continueHref)}`
  return layout({ common, title: common.thirdParty ? `${title} – ${nameInText(common.thirdParty.name)}` : title, ends: false }, content)
}

/** The link by hand of CX-08: the browser is usually sent on by itself. */
export function wayOn({ thirdParty }: Common, href: string): Html {
  return html`<div class="choices">${linkButton(href, thirdParty ? html`Go back to ${name(thirdParty.name)}` : 'Continue')}</div>`
}

function sign(kind: 'done' | 'refused'): Html {
  const path = kind === 'done' ? 'M10 16.5l4.2 4.2L22.5 12' : 'M10 16h12'
  return html`<svg class="outcome-sign" viewBox="0 0 32 32" width="48" height="48" aria-hidden="true" focusable="false"><circle cx="16" cy="16" r="14.5" /><path d="${path}" /></svg>`
}
