import { type Html, html } from '@bankside/service-kit/html'

// Embeddings, overrides and isolates. An isolate that is opened and not closed swallows the end of ours, so that `bdi` alone does not hold it.
const directionControls = /[\u202a-\u202e\u2066-\u2069]/g

/** A text that somebody else chose: its own writing direction stays inside it, so that it cannot reorder our sentence. */
export function name(text: string): Html {
  return html`<bdi>${withoutDirectionControls(text)}</bdi>`
}

/** The same where no element fits, as in a page title. */
export function nameInText(text: string): string {
  return `\u2068${withoutDirectionControls(text)}\u2069`
}

/** For a sentence of the bank's that may have a name inside. */
export function withoutDirectionControls(text: string): string {
  return text.replace(directionControls, '')
}
