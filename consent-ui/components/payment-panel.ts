import { type Html, html } from '@bankside/service-kit/html'
import { name } from './name.ts'

/** Amount and payee, on every page of a payment (SCA-RTS Art. 5, CX-PIS-04). */
export function paymentPanel({ amountText, payee, details = [] }: { amountText: string; payee: string; details?: readonly Html[] }): Html {
  return html`<div class="payment">
      <p class="payment-amount">${breakingAtCommas(amountText)}</p>
      <p class="payment-payee">to ${name(payee)}</p>
      ${details.map((detail) => html`<p class="payment-detail">${detail}</p>`)}
    </div>`
}

/** An amount too long for its line goes on after a comma, never within a group of digits, where it could be read as two numbers. */
function breakingAtCommas(amountText: string): Html[] {
  return amountText.split(',').map((group, index) => html`${index > 0 && html`,<wbr>`}${group}`)
}
