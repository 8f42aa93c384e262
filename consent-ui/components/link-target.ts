/**
 * Lets a link lead only to a path of ours, to https, or to a place on the page. The caller decides where; this stops a `javascript:` or `data:` URL
 * that slipped through from becoming a link on the bank's page.
 *
 * @throws {Error} Anything else.
 */
export function linkTarget(href: string): string {
  if (/^(https:\/\/|\/(?![/\\])|#)/i.test(href)) return href
  throw new Error('a link on a page leads to a path of ours or to https')
}
