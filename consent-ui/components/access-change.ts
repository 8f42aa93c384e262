import { type Html, html } from '@bankside/service-kit/html'
import type { AccessChange } from '../page.ts'
import { summaryList } from './summary-list.ts'

/** What would be other than what was agreed to before, in the open: nothing here folds away (CX-AIS-08). */
export function accessChange({ added, removed, expiry, transactionWindow }: AccessChange): Html {
  const rows = [
    added.length > 0 && { label: 'New', value: list(added) },
    removed.length > 0 && { label: 'No longer shared', value: list(removed) },
    expiry && { label: 'Sharing lasts', value: beforeAndAfter(expiry) },
    transactionWindow && { label: 'Transactions', value: beforeAndAfter(transactionWindow) },
  ]
  return rows.some(Boolean) ? summaryList(rows) : html`<p>Nothing changes in what is shared or for how long.</p>`
}

const list = (lines: readonly string[]): Html =>
  html`<ul class="plain-list" role="list">${lines.map((line) => html`<li>${line}</li>`)}</ul>`

const beforeAndAfter = ({ before, after }: { readonly before: string; readonly after: string }): Html =>
  html`${after} <span class="option-detail">Before: ${before}</span>`
