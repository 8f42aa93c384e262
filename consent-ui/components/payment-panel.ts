import { type Html, html } from '@bankside/service-kit/html'
import { name } from './name.ts'

/** Amount and payee, on every page of a payment (SCA-RTS Art. 5, CX-PIS-04). */
export function paymentPanel({ amountText, payee, detail }: { amountText: string; payee: string; detail?: string | undefined }): Html {
  return html`<div class="payment">
      <p class="payment-amount">${amountText}</p>
      <p class="payment-payee">to ${name(payee)}</p>
      ${detail && html`<p class="payment-detail" dir="auto">${detail}</p>`}
    </div>`
}
