import type { Refusal } from '@bankside/service-kit/refusal'
import type { Answer, Problem, Reply } from '../api.ts'
import type { AnyRefusal } from '../request-refusal.ts'

type BankAnswer = Answer & { readonly code: string; readonly title: string }

const validation = { status: 400, code: 'validation_error', title: 'The request is not valid' } as const
const header = { status: 400, code: 'validation_error', title: 'A header is not valid' } as const
const notFound = { status: 404, code: 'not_found', title: 'There is no such thing for you' } as const
const badToken = { status: 401, code: 'invalid_token', title: 'The access token is not valid', challenge: 'invalid_token' } as const
const consentInactive = { status: 403, code: 'consent_inactive', title: 'The authorization no longer serves' } as const

/** Each refusal and its answer. `satisfies` makes a new refusal a compile error until it is answered here. */
const answers = {
  account_not_permitted: notFound, // NAT-S2: unknown and foreign are one answer
  account_not_usable: { status: 422, code: 'account_not_usable', title: 'The account cannot be used for this' },
  amount_invalid: validation,
  beneficiary_exists: { status: 409, code: 'beneficiary_exists', title: 'The beneficiary is there already' },
  body_malformed: { ...validation, title: 'The body is not JSON that can be read' },
  body_too_large: { status: 413, code: 'body_too_large', title: 'The body is too large' },
  certificate_not_yours: badToken,
  client_blocked: badToken,
  consent_already_used: consentInactive,
  consent_mismatch: { status: 403, code: 'authorization_mismatch', title: 'This is not what was authorised' },
  consent_not_authorised: consentInactive,
  consent_not_found: consentInactive,
  consent_not_yours: consentInactive,
  currency_unsupported: { status: 422, code: 'currency_unsupported', title: 'The currency is not supported here' },
  date_invalid: validation,
  field_invalid: validation,
  field_missing: validation,
  field_unexpected: validation,
  grant_revoked: badToken,
  header_invalid: header,
  header_missing: header,
  idempotency_key_in_use: {
    status: 409,
    code: 'idempotency_in_progress',
    title: 'The first request is still running',
    retryAfterSeconds: 1,
  },
  idempotency_key_reused: { status: 409, code: 'idempotency_conflict', title: 'The key was used with another request' },
  instrument_unsupported: validation,
  insufficient_funds: { status: 422, code: 'insufficient_funds', title: 'There are not enough funds' },
  insufficient_user_authentication: {
    status: 401,
    code: 'insufficient_user_authentication',
    title: 'A stronger or more recent authentication is required',
    challenge: 'insufficient_user_authentication',
  },
  licence_missing: {
    status: 403,
    code: 'insufficient_scope',
    title: 'The certificate does not permit this',
    challenge: 'insufficient_scope',
  },
  limit_not_confirmed: consentInactive,
  media_type_unsupported: { status: 415, code: 'unsupported_media_type', title: 'Send application/json' },
  method_not_allowed: { status: 405, code: 'method_not_allowed', title: 'The method is not allowed here' },
  not_acceptable: { status: 406, code: 'not_acceptable', title: 'This API answers with JSON' },
  parameter_invalid: { ...validation, title: 'A parameter is not valid' },
  path_unknown: notFound,
  payment_archived: { status: 410, code: 'archived', title: 'The records of the payment are in the archive of the bank' },
  payment_not_found: notFound,
  payment_not_sealed: { status: 409, code: 'not_sealed_yet', title: 'The payment is not sealed yet', retryAfterSeconds: 10 },
  payment_over_limit: { status: 422, code: 'limit_exceeded', title: 'The amount is over the limit' },
  permission_missing: { status: 403, code: 'insufficient_scope', title: 'The token does not permit this', challenge: 'insufficient_scope' },
  permissions_invalid: validation,
  proof_invalid: { ...badToken, code: 'invalid_dpop_proof', title: 'The DPoP proof is not valid', challenge: 'invalid_dpop_proof' },
  scheme_unsupported: validation,
  statement_not_found: notFound,
  too_many_requests: { status: 429, code: 'rate_limited', title: 'Too many requests' },
  token_invalid: badToken,
  token_misplaced: { status: 400, code: 'invalid_request', title: 'A token does not belong into a URL', challenge: 'invalid_request' },
  token_missing: { status: 401, code: 'unauthorized', title: 'An access token is required', challenge: 'none' },
  token_without_consent: { status: 403, code: 'no_user', title: 'The token is of no customer' },
} as const satisfies Record<AnyRefusal, BankAnswer>

export const bankAnswerTo = (refusal: Refusal): BankAnswer => answers[refusal.code as AnyRefusal]

const problemMediaType = { 'content-type': 'application/problem+json; charset=utf-8' }

/** RFC 9457. `instance` is the interaction id: one word for the client, for us, and for the log. */
export function renderBankProblem(problem: Problem): Reply {
  const { status, code, title } = problem.kind === 'refused' ? bankAnswerTo(problem.refusals[0]) : ours[problem.kind]
  const errors = problem.kind === 'refused' ? problem.refusals.flatMap(renderPlace) : []
  const [first] = problem.kind === 'refused' ? problem.refusals : []
  return {
    status,
    headers: problemMediaType,
    body: {
      type: `urn:bankside:problem:${code}`,
      title,
      status,
      code,
      instance: `urn:uuid:${problem.reference}`,
      ...(first !== undefined && status !== 404 && { detail: first.message }),
      ...(errors.length > 0 && { errors }),
    },
  }
}

const ours = {
  unavailable: { status: 503, code: 'unavailable', title: 'Not available now, try again' },
  fault: { status: 500, code: 'internal_error', title: 'An unexpected error. Quote the instance when you ask about it.' },
} as const

/** Where the fault lies. Not told for what must look like nothing. */
function renderPlace({ code, path, message }: Refusal): object[] {
  if (path === undefined || answers[code as AnyRefusal].status === 404) return []
  const kind = code.startsWith('header_') || code.startsWith('idempotency_') ? 'header' : path.startsWith('/') ? 'pointer' : 'parameter'
  return [{ [kind]: path, detail: message }]
}
