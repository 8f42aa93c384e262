import { type Html, html } from '@bankside/service-kit/html'
import { cancelText, choices, form, formHeading, ifCancelled } from './components/form.ts'
import { layout } from './components/layout.ts'
import { name, nameInText } from './components/name.ts'
import { notice } from './components/notice.ts'
import { paymentPanel } from './components/payment-panel.ts'
import { textField } from './components/text-field.ts'
import { formatTime } from './format/date.ts'
import type { Common, FormPage } from './page.ts'

/** The payment a code is for. `amount` is text, as `format/amount` writes it; `payeeIdentification` as `format/account-number` does. */
export type PaymentToConfirm = {
  readonly payee: string
  readonly payeeIdentification: string
  readonly amount: string
  readonly reference?: string | undefined
}

export type SecondFactor = FormPage & {
  readonly attemptsLeft?: number | undefined
  readonly expiresAt: Date
  readonly payment?: PaymentToConfirm | undefined
  /** Text of the confirming button, when this is the last page of the journey (CX-PIS-06). */
  readonly confirmText?: string | undefined
  readonly lockMinutes?: number | undefined
  /** False where there is nothing to cancel to. */
  readonly cancel?: boolean | undefined
}

const lockMinutesDefault = 15
/** SCA-RTS Art. 4(3)(b): passwords and codes together. Said when the page is not told how many are left. */
const attemptsAllowed = 5

/** Field `code`, which may arrive with spaces in it (pasted); `action` is `continue` or `cancel`. */
export function secondFactorPage(page: SecondFactor): Html {
  const { common, errors, payment, attemptsLeft, lockMinutes = lockMinutesDefault, confirmText = 'Continue', cancel = true } = page
  const content = html`${formHeading(page, payment ? 'Enter your code for this payment' : 'Enter your 6-digit code')}
      ${payment && panel(payment, common)}
      <p class="lead">Open the app that makes your codes and look for ${common.bankName}.</p>
      ${form(
        page,
        html`${textField({ name: 'code', label: '6-digit code', hint: hint(page), autocomplete: 'one-time-code', numeric: true, errors })}
        <p class="hint">Never tell anyone this code, not even us.</p>
        ${attemptsLeft === 1 && notice(html`<strong>This is your last try.</strong> After another wrong code you cannot sign in for ${lockMinutes} minutes.`)}
        ${choices({ confirm: confirmText, confirmValue: 'continue', cancel: cancel ? cancelText(page) : undefined })}
        ${cancel && html`<p class="hint">${ifCancelled(page, nothingOf(page))}</p>`}`,
      )}`
  return layout({ common, title: title(page), hasErrors: Boolean(errors?.length) }, content)
}

function hint({ expiresAt, attemptsLeft, lockMinutes = lockMinutesDefault }: SecondFactor): string {
  const tries =
    attemptsLeft === undefined
      ? `After ${attemptsAllowed} wrong tries in a row you cannot sign in for ${lockMinutes} minutes.`
      : `You have ${attemptsLeft} ${attemptsLeft === 1 ? 'try' : 'tries'} left.`
  return `Your app shows a new code every 30 seconds, and each code works once. Enter it before ${formatTime(expiresAt)}. ${tries}`
}

function panel({ amount, payee, payeeIdentification, reference }: PaymentToConfirm, { thirdParty }: Common): Html {
  const details = [
    name(payeeIdentification),
    reference !== undefined && html`Reference: ${name(reference)}`,
    thirdParty !== undefined && html`Asked for by ${name(thirdParty.name)}`,
  ]
  return paymentPanel({ amountText: amount, payee, details: details.filter((detail) => detail !== false) })
}

function nothingOf({ common, payment }: SecondFactor): string {
  if (payment) return 'nothing is paid'
  return common.thirdParty ? 'nothing is shared' : 'nothing changes'
}

function title({ common, payment }: SecondFactor): string {
  const thirdParty = common.thirdParty && nameInText(common.thirdParty.name)
  if (payment)
    return `Enter your code to pay ${payment.amount} to ${nameInText(payment.payee)}${thirdParty ? ` through ${thirdParty}` : ''}`
  return `Enter your 6-digit code${thirdParty ? ` to continue with ${thirdParty}` : ''}`
}
