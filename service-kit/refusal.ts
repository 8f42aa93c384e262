/**
 * An expected "no" that the caller can act on: answered and counted, never logged as a fault.
 * Anything else that is thrown is a fault, or {@link Unavailable}.
 */
export class Refusal<Code extends string = string> extends Error {
  override name = 'Refusal'
  readonly code: Code
  /** JSON path, header or parameter at fault, when there is one. */
  readonly path: string | undefined

  constructor(code: Code, message: string, options: { path?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.path = options.path
  }
}

/** Something this process depends on does not answer now. The caller may repeat the same request later. */
export class Unavailable extends Error {
  override name = 'Unavailable'
  readonly retryAfterSeconds: number

  constructor(message: string, options: { retryAfterSeconds?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.retryAfterSeconds = options.retryAfterSeconds ?? 2
  }
}
