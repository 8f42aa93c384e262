import type { IncomingMessage, ServerResponse } from 'node:http'

/** A request and the answer to it. */
export type Exchange = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly path: string
  /** What comes after the question mark. */
  readonly query: string
}

export function exchangeOf(request: IncomingMessage, response: ServerResponse): Exchange {
  const { url = '' } = request
  const end = url.indexOf('?')
  return { request, response, path: end < 0 ? url : url.slice(0, end), query: end < 0 ? '' : url.slice(end + 1) }
}
