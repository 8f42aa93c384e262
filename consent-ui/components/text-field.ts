import { type Html, html } from '@bankside/service-kit/html'
import type { FieldError } from '../page.ts'
import { fieldError } from './error-summary.ts'

type TextField = {
  readonly name: string
  readonly label: string
  readonly hint?: Html | string | undefined
  readonly type?: 'text' | 'password'
  readonly value?: string | undefined
  /** For password managers and code autofill (WCAG 2.2 SC 1.3.5 and 3.3.8). */
  readonly autocomplete: 'username' | 'current-password' | 'one-time-code' | 'transaction-amount'
  readonly numeric?: boolean
  readonly errors?: readonly FieldError[] | undefined
  /** The field is wrong together with others; the `id` of the message they share. */
  readonly sharedErrorId?: string | undefined
}

/** A labelled line of text. Its `id` is its name, which is what the error summary links to. Pasting is never hindered; no length is set, since a browser cuts what is pasted without a word. */
export function textField({
  name,
  label,
  hint,
  type = 'text',
  value,
  autocomplete,
  numeric = false,
  errors,
  sharedErrorId,
}: TextField): Html {
  const error = fieldError(name, errors)
  const describedBy = [hint && `${name}-hint`, error ? `${name}-error` : sharedErrorId].filter(Boolean).join(' ')
  return html`<div class="${error ? 'field field-wrong' : 'field'}">
      <label class="field-label" for="${name}">${label}</label>
      ${hint && html`<p class="hint" id="${name}-hint">${hint}</p>`}
      ${error}
      <input class="${numeric ? 'text-input code-input' : 'text-input'}" id="${name}" name="${name}" type="${type}" autocomplete="${autocomplete}"
        autocapitalize="none" autocorrect="off" spellcheck="false"${numeric && html` inputmode="numeric"`}${value !== undefined && html` value="${value}"`}${describedBy && html` aria-describedby="${describedBy}"`}${(error || sharedErrorId) && html` aria-invalid="true"`}>
    </div>`
}
