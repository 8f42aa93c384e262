import type { BankRefusal } from '@bankside/bank/refusal'
import { Refusal } from '@bankside/service-kit/refusal'

/** What can be wrong with a request before, or besides, what it asks of the bank. */
export type RequestRefusal =
  | 'body_malformed' // not JSON that we take: syntax, encoding, depth, a name given twice
  | 'body_too_large'
  | 'field_unexpected'
  | 'header_invalid'
  | 'header_missing'
  | 'instrument_unsupported'
  | 'media_type_unsupported'
  | 'method_not_allowed'
  | 'not_acceptable'
  | 'parameter_invalid' // in the query
  | 'path_unknown'
  | 'too_many_requests'

export type AccessTokenRefusal =
  | 'proof_invalid' // DPoP proof: missing, malformed, stale, of another request, or used before
  | 'token_invalid' // one answer for expired, forged, for another API, or another client's
  | 'token_misplaced' // in the query string
  | 'token_missing'

export type AnyRefusal = BankRefusal | RequestRefusal | AccessTokenRefusal

export function refuseRequest(code: RequestRefusal, message: string, path?: string): never {
  throw new Refusal<RequestRefusal>(code, message, { path })
}

/** Everything that is wrong with one request, told together (RW-ERR-01). */
export class Violations extends Error {
  override name = 'Violations'
  readonly refusals: readonly Refusal[]

  constructor(refusals: readonly Refusal[]) {
    super(refusals.map(({ code }) => code).join(', '))
    this.refusals = refusals
  }
}

/** Code, JSON path or header, and what the caller reads. */
export type Violation = readonly [code: AnyRefusal, path: string, message: string]

export function throwViolations(violations: readonly Violation[]): void {
  if (violations.length > 0)
    throw new Violations(violations.map(([code, path, message]) => new Refusal<AnyRefusal>(code, message, { path })))
}

/** Known path, other method: the answer names the methods that there are. */
export class MethodNotAllowed extends Refusal<RequestRefusal> {
  readonly allow: readonly string[]

  constructor(allow: readonly string[]) {
    super('method_not_allowed', `use ${allow.join(' or ')}`)
    this.allow = allow
  }
}

/** RW-ST-09, NAT-S9: the same request may be sent again after so long. */
export class TooManyRequests extends Refusal<RequestRefusal> {
  readonly waitSeconds: number

  constructor(waitSeconds: number) {
    super('too_many_requests', `too many requests: wait ${waitSeconds} s`)
    this.waitSeconds = waitSeconds
  }
}
