import { type Html, html } from '@bankside/service-kit/html'

/** A text that somebody else chose: its own writing direction stays inside it, so that it cannot reorder our sentence. */
export function name(text: string): Html {
  return html`<bdi>${text}</bdi>`
}

const directionMarks = /[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g

/** The same where no element fits, as in a page title: direction marks of its own are dropped and it is isolated as a whole. */
export function nameInText(text: string): string {
  return `\u2068${text.replace(directionMarks, '')}\u2069`
}
