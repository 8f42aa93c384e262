import { type Html, html } from '@bankside/service-kit/html'
import type { FieldError } from '../page.ts'
import { fieldError } from './error-summary.ts'
import { name } from './name.ts'

export type AccountOption = {
  readonly id: string
  readonly nickname: string
  /** Kind of account and the end of its number: never the whole number (SCA-08). */
  readonly description: string
  /** A remark in words, such as too little money: the account can be chosen all the same. */
  readonly remark?: string | undefined
  readonly selected: boolean
}

type AccountChoice = {
  readonly type: 'checkbox' | 'radio'
  readonly legend: Html | string
  readonly hint?: Html | string | undefined
  readonly options: readonly AccountOption[]
  readonly errors?: readonly FieldError[] | undefined
}

/**
 * A group of accounts to choose from. The first one's `id` is the field's name, which is what the error summary links to.
 * ARIA lets a checkbox be invalid but not a radio button, there it is the group.
 */
export function accountChoice({ type, legend, hint, options, errors }: AccountChoice): Html {
  const error = fieldError('account', errors)
  const describedBy = [hint && 'account-hint', error && 'account-error'].filter(Boolean).join(' ')
  return html`<div class="${error ? 'field field-wrong' : 'field'}"><fieldset${type === 'radio' && html` role="radiogroup"${error && html` aria-invalid="true"`}`}${describedBy && html` aria-describedby="${describedBy}"`}>
      <legend><h2>${legend}</h2></legend>
      ${hint && html`<p class="hint" id="account-hint">${hint}</p>`}
      ${error}
      <div class="options">${options.map((option, index) => accountOption({ type, option, index, wrong: error !== undefined }))}</div>
    </fieldset></div>`
}

type OptionInGroup = { type: 'checkbox' | 'radio'; option: AccountOption; index: number; wrong: boolean }

function accountOption({ type, option, index, wrong }: OptionInGroup): Html {
  const { id, nickname, description, remark, selected } = option
  const elementId = index === 0 ? 'account' : `account-${index + 1}`
  return html`<div class="option">
      <input class="option-input" type="${type}" id="${elementId}" name="account" value="${id}"${selected && html` checked`}${wrong && type === 'checkbox' && html` aria-invalid="true"`}${wrong && index === 0 && html` aria-describedby="account-error"`}>
      <label class="option-label" for="${elementId}"><span class="option-name">${name(nickname)}</span> <span class="option-detail">${description}</span>${remark && html` <span class="option-remark">${remark}</span>`}</label>
    </div>`
}
