import { html as escapingTag, raw as unescaped } from 'hono/html'

declare const escaped: unique symbol
/** A piece of page whose every value was escaped. Only {@link html} and {@link raw} make one; `String(page)` is its text. */
export type Html = { readonly [escaped]: true; toString(): string }

export type HtmlValue = Html | string | number | bigint | boolean | null | undefined | readonly HtmlValue[]

/** Escapes every value but `Html`. Booleans, null and undefined render nothing, so `${condition && html`…`}` works. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return escapingTag(strings, ...values) as unknown as Html
}

/** Takes text as a piece of page unescaped: for constants of ours only, never for anything that came from outside. */
export function raw(trusted: string): Html {
  return unescaped(trusted) as unknown as Html
}
