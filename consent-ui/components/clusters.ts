import { type Html, html } from '@bankside/service-kit/html'
import type { Cluster } from '../page.ts'

/** What is shared, in plain words: a heading per group, each opening to what it covers (CX-AIS-02). Nothing here can be chosen (CX-06). */
export function clusters(groups: readonly Cluster[]): Html {
  return html`<ul class="clusters" role="list">${groups.map(
    ({ title, lines }) =>
      html`<li><details class="cluster"><summary>${title}</summary><ul>${lines.map((line) => html`<li>${line}</li>`)}</ul></details></li>`,
  )}</ul>`
}
