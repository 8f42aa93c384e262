import { type Html, html } from '@bankside/service-kit/html'
import { accountChoice } from './components/account-choice.ts'
import { fieldError } from './components/error-summary.ts'
import { cancelText, choices, form, formHeading, ifCancelled } from './components/form.ts'
import { layout } from './components/layout.ts'
import { name, nameInText } from './components/name.ts'
import { paymentPanel } from './components/payment-panel.ts'
import { type SummaryRow, summaryList } from './components/summary-list.ts'
import type { Fact, FormPage } from './page.ts'

export type AccountToPayFrom = {
  readonly id: string
  readonly nickname: string
  /** As `maskAccountNumber` writes it. */
  readonly maskedIdentifier: string
  /** As `formatAmount` writes it. */
  readonly availableText: string
  /** Less money than the payment needs. It can be chosen all the same (CX-PIS-03). */
  readonly insufficient: boolean
  /** The customer's own soft limits that paying from it goes beyond. It can be chosen when that is confirmed. */
  readonly beyond?: readonly OwnLimit[] | undefined
  readonly selected?: boolean | undefined
}

/** A limit in words: `£250.00 a day from this account`. */
export type OwnLimit = { readonly id: string; readonly text: string }

export type ConfirmPayment = FormPage & {
  readonly payee: string
  /** In full, as `formatPayeeAccount` writes it: the customer must be able to check it. */
  readonly payeeIdentification: string
  readonly amountText: string
  readonly reference?: string | undefined
  /** The account to pay from, when the third party named it. */
  readonly debtor?: AccountToPayFrom | undefined
  /** The accounts to choose from otherwise. */
  readonly accounts?: readonly AccountToPayFrom[] | undefined
  /** The third party is told which account paid, so that it can refund it (PIS-08). */
  readonly refundAccountShared?: boolean | undefined
  /** Date, charges, exchange rate: whatever else belongs to the payment (CX-PIS-01). */
  readonly facts?: readonly Fact[] | undefined
}

/** Fields `account` and `beyond_limit`; `action` is `confirm` or `cancel`. Amount and payee stand above the choice and again on the button (CX-PIS-04, -08). */
export function confirmPaymentPage(page: ConfirmPayment): Html {
  const { common, errors, payee, amountText, accounts = [] } = page
  const thirdParty = common.thirdParty?.name
  const only = page.debtor ?? (accounts.length === 1 ? accounts[0] : undefined)
  const content = html`${formHeading(page, 'Check and confirm this payment')}
      ${paymentPanel({ amountText, payee })}
      ${summaryList(rows(page, only))}
      ${form(
        page,
        html`${only ? html`<input type="hidden" name="account" value="${only.id}">` : choice(page)}
        ${beyondLimit(page, only === undefined ? accounts : [only])}
        ${choices({ confirm: html`Pay ${amountText} to ${name(payee)}`, confirmValue: 'confirm', cancel: cancelText(page) })}
        <p class="hint">${ifCancelled(page, 'nothing is paid')}</p>`,
      )}`
  const title = `Confirm payment of ${amountText} to ${nameInText(payee)}${thirdParty === undefined ? '' : ` through ${nameInText(thirdParty)}`}`
  return layout({ common, title, hasErrors: Boolean(errors?.length) }, content)
}

function rows(page: ConfirmPayment, only: AccountToPayFrom | undefined): (SummaryRow | false | undefined)[] {
  const { payeeIdentification, reference, facts = [], common } = page
  return [
    { label: 'Payee’s account', value: payeeIdentification },
    reference !== undefined && { label: 'Reference', value: reference },
    ...facts,
    common.thirdParty && { label: 'Asked for by', value: common.thirdParty.name },
    only && { label: 'Pay from', value: payFrom(only) },
    page.refundAccountShared && { label: 'For refunds', value: refundNote(common.thirdParty?.name) },
  ]
}

function refundNote(thirdParty: string | undefined): Html {
  return html`${thirdParty === undefined ? 'The company' : name(thirdParty)} sees which account you pay from, so that it can pay you back.`
}

function payFrom({ nickname, maskedIdentifier, availableText, insufficient, beyond }: AccountToPayFrom): Html {
  return html`<span class="option-name">${name(nickname)}</span> <span class="option-detail">${maskedIdentifier}</span> <span class="option-detail">${availableText} available</span>${remarksOf({ insufficient, beyond }).map((remark) => html` <span class="option-remark">${remark}</span>`)}`
}

const tooLittle = 'There is not enough money in this account right now.'

const remarksOf = ({ insufficient, beyond = [] }: Pick<AccountToPayFrom, 'insufficient' | 'beyond'>): readonly string[] => [
  ...(insufficient ? [tooLittle] : []),
  ...beyond.map(({ text }) => `You set yourself a limit of ${text}.`),
]

/** One box for all limits that are named above it: what it stands for is in its value, so nobody confirms what was not shown. */
function beyondLimit({ errors }: ConfirmPayment, accounts: readonly AccountToPayFrom[]): Html | undefined {
  const ids = new Set(accounts.flatMap(({ beyond = [] }) => beyond.map(({ id }) => id)))
  if (ids.size === 0) return undefined
  const error = fieldError('beyond_limit', errors)
  return html`<div class="${error ? 'field field-wrong' : 'field'}">${error}
      <div class="option">
        <input class="option-input" type="checkbox" id="beyond_limit" name="beyond_limit" value="${[...ids].join(' ')}"${error && html` aria-invalid="true" aria-describedby="beyond_limit-error"`}>
        <label class="option-label" for="beyond_limit"><span class="option-name">Pay more than the limit I set myself</span></label>
      </div></div>`
}

function choice({ accounts = [], errors }: ConfirmPayment): Html {
  const options = accounts.map(({ id, nickname, maskedIdentifier, availableText, insufficient, beyond, selected }) => ({
    id,
    nickname,
    description: `${maskedIdentifier} · ${availableText} available`,
    remark: remarksOf({ insufficient, beyond }).join(' ') || undefined,
    selected: selected ?? false,
  }))
  return accountChoice({ type: 'radio', legend: 'Which account do you want to pay from?', options, errors })
}
