/** One request and its answer, as they went over the wire. */
export type Exchange = {
  readonly method: string
  readonly url: string
  readonly requestHeaders: Readonly<Record<string, string>>
  readonly requestBody: string
  readonly status: number
  readonly responseHeaders: Headers
  readonly responseBody: string
  readonly durationMs: number
}

/** Receives every exchange of a third party. */
export type Trace = (exchange: Exchange) => void
