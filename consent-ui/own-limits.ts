import { type Html, html } from '@bankside/service-kit/html'
import { button } from './components/button.ts'
import { errorSummary, fieldError } from './components/error-summary.ts'
import { form } from './components/form.ts'
import { layout } from './components/layout.ts'
import { linkTarget } from './components/link-target.ts'
import { name } from './components/name.ts'
import { announcement } from './components/notice.ts'
import { textField } from './components/text-field.ts'
import type { FormPage, SignOut } from './page.ts'

export type OwnLimits = FormPage & {
  /** What holds now: `£250.00 a day`, and of what. Those of the bank have no id: they are only read. */
  readonly limits: readonly { readonly id?: string | undefined; readonly text: string; readonly of: string; readonly asks: boolean }[]
  /** Where a new one may count: an account, or all of one currency. */
  readonly places: readonly { readonly id: string; readonly text: string }[]
  readonly overviewHref: string
  readonly notifications?: readonly string[] | undefined
  readonly signOut?: SignOut | undefined
}

/**
 * The limits a customer has set themselves, and those that the bank has set for them. Fields `account`, `per` (`payment`, `day`, `month`),
 * `most` and `kind` (`ask`, `refuse`) with `action` `confirm` set one; `limit` with `action` `stop` ends one.
 */
export function ownLimitsPage(page: OwnLimits): Html {
  const { common, errors, limits, places, overviewHref, notifications = [], signOut } = page
  const own = limits.filter(({ id }) => id !== undefined)
  const ours = limits.filter(({ id }) => id === undefined)
  const content = html`${errorSummary(errors)}${notifications.map(announcement)}
      <nav class="back-nav" aria-label="Back"><a class="back-link" href="${linkTarget(overviewHref)}">All connected accounts</a></nav>
      <h1>Your payment limits</h1>
      <p class="lead">You can limit what is paid from your accounts. You can change that at any time.</p>
      <h2>Limits you have set</h2>
      ${own.length === 0 ? html`<p class="empty">You have set none.</p>` : html`<ul class="consents" role="list">${own.map((limit) => html`<li class="consent">${ownLimit(page, limit)}</li>`)}</ul>`}
      ${ours.length > 0 && html`<h2>Limits we have set</h2><ul class="bullets">${ours.map(({ text, of }) => html`<li>${text}, ${name(of)}</li>`)}</ul>`}
      <h2>Set a limit</h2>
      ${form(
        page,
        html`${radios('account', 'Where should it count?', places, errors)}
        ${radios('per', 'How long should it count?', periods, errors)}
        ${textField({ name: 'most', label: 'At most', hint: 'For example 250.00', autocomplete: 'transaction-amount', errors })}
        ${radios('kind', 'What should happen when a payment is more?', kinds, errors)}
        <div class="choices">${button({ value: 'confirm', text: 'Set this limit' })}</div>`,
      )}`
  return layout({ common, title: 'Your payment limits', hasErrors: Boolean(errors?.length), signOut }, content)
}

const periods = [
  { id: 'payment', text: 'For each payment' },
  { id: 'day', text: 'A day' },
  { id: 'month', text: 'A month' },
] as const
const kinds = [
  { id: 'ask', text: 'Ask me when I confirm the payment' },
  { id: 'refuse', text: 'Do not pay' },
] as const

function ownLimit(page: OwnLimits, { id = '', text, of, asks }: OwnLimits['limits'][number]): Html {
  return html`<h3>${text}</h3>
      <p>${name(of)}. ${asks ? 'We ask you when a payment is more.' : 'We do not pay more.'}</p>
      ${form(page, html`<input type="hidden" name="limit" value="${id}">${button({ value: 'stop', text: html`Remove <span class="visually-hidden">the limit of ${text}, ${name(of)}</span>`, other: true })}`)}`
}

type Choice = { readonly id: string; readonly text: string }

function radios(field: string, legend: string, options: readonly Choice[], errors: FormPage['errors']): Html {
  const error = fieldError(field, errors)
  return html`<div class="${error ? 'field field-wrong' : 'field'}"><fieldset role="radiogroup"${error && html` aria-invalid="true" aria-describedby="${field}-error"`}>
      <legend><h3>${legend}</h3></legend>
      ${error}
      <div class="options">${options.map(
        ({ id, text }, index) => html`<div class="option">
        <input class="option-input" type="radio" id="${index === 0 ? field : `${field}-${index + 1}`}" name="${field}" value="${id}">
        <label class="option-label" for="${index === 0 ? field : `${field}-${index + 1}`}"><span class="option-name">${name(text)}</span></label>
      </div>`,
      )}</div>
    </fieldset></div>`
}
