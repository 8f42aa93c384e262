import { type Html, html } from '@bankside/service-kit/html'
import { choices, form, formHeading } from './components/form.ts'
import { layout } from './components/layout.ts'
import { name, nameInText } from './components/name.ts'
import type { FormPage } from './page.ts'

export type ConfirmRequest = FormPage & {
  /** What the bank's own app or desk may then see and do, in plain words. Empty: it only learns who the customer is. */
  readonly lines: readonly string[]
}

/** An app or a desk of the bank's own wants to know that it is this customer. `action` is `confirm` or `cancel`. */
export function confirmRequestPage(page: ConfirmRequest): Html {
  const { common, errors, lines } = page
  const who = name(common.thirdParty?.name ?? '')
  const content = html`${formHeading(page, html`Tell ${who} that it is you`)}
      <p class="lead">${who} is part of ${common.bankName}. If you say yes, it knows that it is dealing with you${lines.length > 0 ? '. It can then see or do this:' : '.'}</p>
      ${lines.length > 0 && html`<ul class="bullets">${lines.map((line) => html`<li>${line}</li>`)}</ul>`}
      ${form(
        page,
        html`${choices({ confirm: 'Yes, it is me', confirmValue: 'confirm', cancel: 'Say no' })}
        <p class="hint">If you say no, nothing is shared and ${who} is told so.</p>`,
      )}`
  return layout(
    { common, title: `Tell ${nameInText(common.thirdParty?.name ?? '')} that it is you`, hasErrors: Boolean(errors?.length) },
    content,
  )
}
