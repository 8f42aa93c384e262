import { type Html, html } from '@bankside/service-kit/html'

/** A state in a word; the colour only repeats it (A11Y-02). */
export function statusTag(label: string, active: boolean): Html {
  return html`<strong class="${active ? 'tag tag-active' : 'tag'}">${label}</strong>`
}
