import { type Html, html } from '@bankside/service-kit/html'
import type { Common, Elsewhere, FormPage } from '../page.ts'
import { button } from './button.ts'
import { errorSummary } from './error-summary.ts'
import { linkTarget } from './link-target.ts'
import { name } from './name.ts'
import { notice } from './notice.ts'

/** A form that the server checks: the browser's own checks are off, so that every browser shows the same messages. */
export function form({ formAction, pageToken }: Pick<FormPage, 'formAction' | 'pageToken'>, content: Html): Html {
  return html`<form class="form" method="post" action="${linkTarget(formAction)}" novalidate>
      <input type="hidden" name="page_token" value="${pageToken}">
      ${content}
    </form>`
}

type Heading = Pick<FormPage, 'common' | 'errors' | 'step' | 'elsewhere'>

/** The top of a page with a form: errors, step and heading, and what to compare when the company waits elsewhere. */
export function formHeading({ common, errors, step, elsewhere }: Heading, heading: Html | string): Html {
  return html`${errorSummary(errors)}
      ${step && html`<p class="step">Step ${step.number} of ${step.of}</p>`}
      <h1>${heading}</h1>
      ${elsewhere && isItYours(elsewhere, common)}`
}

/** CIBA-13: whoever did not begin this must not be led to end it. */
function isItYours({ bindingMessage }: Elsewhere, { thirdParty }: Common): Html {
  const who = name(thirdParty?.name ?? '')
  if (bindingMessage === undefined) return notice(html`Go on only if you have just asked ${who} for this. If not, say no.`)
  return notice(
    html`${who} must show or tell you these words too: <strong class="binding-message">${name(bindingMessage)}</strong> If they are different, or you did not ask for this, say no.`,
  )
}

/** What happens when the customer does not agree. */
export function ifCancelled({ common, elsewhere }: Pick<FormPage, 'common' | 'elsewhere'>, nothing: string): Html {
  const { thirdParty } = common
  if (elsewhere) return html`If you say no, ${nothing} and ${name(thirdParty?.name ?? '')} is told so.`
  return html`If you cancel, ${nothing}${thirdParty && html` and you go back to ${name(thirdParty.name)}`}.`
}

/** The button that does not agree. */
export const cancelText = ({ elsewhere }: Pick<FormPage, 'elsewhere'>): string => (elsewhere ? 'Say no' : 'Cancel')

type Choices = {
  readonly confirm: Html | string
  readonly confirmValue: 'continue' | 'confirm'
  readonly cancel?: Html | string | undefined
}

/**
 * The two ways on, of the same size and contrast (CX-07, DP-03). The confirming button comes first in the document, because Enter in a field
 * presses the first one.
 */
export function choices({ confirm, confirmValue, cancel }: Choices): Html {
  return html`<div class="choices">
      ${button({ value: confirmValue, text: confirm })}
      ${cancel && button({ value: 'cancel', text: cancel, other: true })}
    </div>`
}
