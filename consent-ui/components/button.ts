import { type Html, html } from '@bankside/service-kit/html'
import { linkTarget } from './link-target.ts'

type Button = {
  /** What is posted as `action`. */
  readonly value: 'continue' | 'confirm' | 'cancel' | 'stop'
  readonly text: Html | string
  /** The same weight with the colours turned round. */
  readonly other?: boolean
}

/** A button that sends the form. */
export function button({ value, text, other = false }: Button): Html {
  return html`<button class="${other ? 'button button-other' : 'button'}" name="action" value="${value}"><span>${text}</span></button>`
}

/** A link that is the way on from a page without a form. */
export function linkButton(href: string, text: Html | string): Html {
  return html`<a class="button" href="${linkTarget(href)}"><span>${text}</span></a>`
}
