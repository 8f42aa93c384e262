import type { Call } from '../api.ts'

export const pageParameter = 'page'

type Pages = {
  /** Without its query. */
  readonly url: string
  /** Parameters that stay as they were sent (RW-D-10). */
  readonly filters: readonly string[]
  readonly after: string | undefined
  readonly next: string | undefined
  readonly previous?: string | undefined
}

/** Next if there is more, Prev if there was something before, First from any page but the first (RW-D-09). */
export function pageLinks(call: Call, { url, filters, after, next, previous }: Pages) {
  const at = (cursor: string | undefined): string => {
    const query = new URLSearchParams()
    for (const name of filters) {
      const value = call.query.get(name)
      if (value !== null) query.set(name, value)
    }
    if (cursor !== undefined) query.set(pageParameter, cursor)
    return `${url}${query.size > 0 ? `?${query}` : ''}`
  }
  return { First: after && at(undefined), Prev: previous && at(previous), Next: next && at(next) }
}
