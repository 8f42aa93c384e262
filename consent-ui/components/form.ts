import { type Html, html } from '@bankside/service-kit/html'
import type { FormPage } from '../page.ts'
import { button } from './button.ts'
import { errorSummary } from './error-summary.ts'
import { linkTarget } from './link-target.ts'

/** A form that the server checks: the browser's own checks are off, so that every browser shows the same messages. */
export function form({ formAction, pageToken }: Pick<FormPage, 'formAction' | 'pageToken'>, content: Html): Html {
  return html`<form class="form" method="post" action="${linkTarget(formAction)}" novalidate>
      <input type="hidden" name="page_token" value="${pageToken}">
      ${content}
    </form>`
}

/** The top of a page with a form: errors, step and heading. */
export function formHeading({ errors, step }: Pick<FormPage, 'errors' | 'step'>, heading: Html | string): Html {
  return html`${errorSummary(errors)}
      ${step && html`<p class="step">Step ${step.number} of ${step.of}</p>`}
      <h1>${heading}</h1>`
}

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
