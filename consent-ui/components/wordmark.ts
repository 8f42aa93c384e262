import { type Html, html } from '@bankside/service-kit/html'

/** A bridge over the river, drawn in the colour of the text, beside the bank's name. The same drawing is `assets/bankside.svg`. */
export function wordmark(bankName: string): Html {
  return html`<p class="wordmark">
      <svg class="wordmark-sign" viewBox="0 0 32 32" width="32" height="32" aria-hidden="true" focusable="false">
        <rect class="wordmark-tile" width="32" height="32" rx="8" />
        <path class="wordmark-bridge" d="M5 17.5h22M8 17.5a8 8 0 0 1 16 0" />
        <path class="wordmark-river" d="M6 22.25c1.7 1.4 3.3 1.4 5 0s3.3-1.4 5 0 3.3 1.4 5 0 3.3-1.4 5 0" />
      </svg>
      <span class="wordmark-name">${bankName}</span>
    </p>`
}
