import { type Html, html } from '@bankside/service-kit/html'
import { name } from './name.ts'

export type SummaryRow = { readonly label: string; readonly value: Html | string | readonly Html[] }

/** Facts as pairs of label and value. Rows that are missing are left out, so that a caller can write `condition && row`. */
export function summaryList(rows: readonly (SummaryRow | false | undefined)[]): Html {
  return html`<dl class="summary">${rows.map((row) => row && html`<div class="summary-row"><dt>${row.label}</dt><dd>${typeof row.value === 'string' ? name(row.value) : row.value}</dd></div>`)}</dl>`
}
