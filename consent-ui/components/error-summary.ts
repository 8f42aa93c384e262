import { type Html, html } from '@bankside/service-kit/html'
import type { FieldError } from '../page.ts'

/**
 * What must be put right, at the top of the page, each linked to its field (A11Y-04).
 * It takes the focus when the page opens; role="alert" stands on a child, because some screen readers announce an alert that is focused twice.
 */
export function errorSummary(errors: readonly FieldError[] = []): Html | undefined {
  if (errors.length === 0) return undefined
  return html`<div class="error-summary" id="error-summary" tabindex="-1" autofocus>
      <div role="alert">
        <h2 class="error-summary-title">There is a problem</h2>
        <ul class="error-summary-list" role="list">${errors.map(({ field, message }) => html`<li>${field === 'form' ? message : html`<a href="#${field}">${message}</a>`}</li>`)}</ul>
      </div>
    </div>`
}

/** The message of one field, read out before its own text, and tied to it by `aria-describedby="<field>-error"`. */
export function fieldError(field: string, errors: readonly FieldError[] = []): Html | undefined {
  const found = errors.find((error) => error.field === field)
  return found && html`<p class="field-error" id="${field}-error"><span class="visually-hidden">Error:</span> ${found.message}</p>`
}
