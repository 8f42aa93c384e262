import { AccessRefusal } from '@bankside/bank/access/access-refusal'
import type { Refusal } from '@bankside/service-kit/refusal'
import type { Answer, Problem, Reply } from '../api.ts'
import type { AnyRefusal } from '../request-refusal.ts'

/** Without an error code the answer has no body: v4.0 declares none for 401, 404, 405, 406 and 415. */
type UkAnswer = Answer & {
  /** Code of the UK code set v4.0. */
  readonly errorCode?: string
  /** Where the fault lies, for refusals that come without a path. */
  readonly path?: string
}

const amountPath = 'Data.Initiation.InstructedAmount'

/** Each refusal and its answer. `satisfies` makes a new refusal a compile error until it is answered here. */
const answers = {
  account_not_permitted: { status: 403, errorCode: 'U011', path: 'AccountId' }, // D4: unknown and foreign are one answer
  account_not_usable: { status: 400, errorCode: 'U002' },
  amount_invalid: { status: 400, errorCode: 'U002', path: `${amountPath}.Amount` },
  beneficiary_exists: { status: 409, errorCode: 'U029' },
  body_malformed: { status: 400, errorCode: 'U010' },
  body_too_large: { status: 413, errorCode: 'U010' },
  certificate_not_yours: { status: 401, challenge: 'invalid_token' },
  client_blocked: { status: 401, challenge: 'invalid_token' },
  consent_already_used: { status: 400, errorCode: 'U009', path: 'Data.ConsentId' },
  consent_mismatch: { status: 400, errorCode: 'U008', path: 'Data.Initiation' },
  consent_not_authorised: { status: 400, errorCode: 'U009', path: 'Data.ConsentId' },
  consent_not_found: { status: 400, errorCode: 'U011', path: 'ConsentId' },
  consent_not_yours: { status: 403, errorCode: 'U011', path: 'ConsentId' },
  currency_unsupported: { status: 400, errorCode: 'U023', path: `${amountPath}.Currency` },
  date_invalid: { status: 400, errorCode: 'U003' },
  field_invalid: { status: 400, errorCode: 'U002' },
  field_missing: { status: 400, errorCode: 'U004' },
  field_unexpected: { status: 400, errorCode: 'U005' },
  grant_revoked: { status: 401, challenge: 'invalid_token' },
  header_invalid: { status: 400, errorCode: 'U006' },
  header_missing: { status: 400, errorCode: 'U007' },
  idempotency_key_in_use: { status: 409, errorCode: 'U029', path: 'x-idempotency-key', retryAfterSeconds: 1 },
  idempotency_key_reused: { status: 400, errorCode: 'U006', path: 'x-idempotency-key' },
  instrument_unsupported: { status: 400, errorCode: 'U026' },
  insufficient_funds: { status: 400, errorCode: 'AM04' },
  insufficient_user_authentication: { status: 403, errorCode: 'U028', challenge: 'insufficient_user_authentication' },
  licence_missing: { status: 403, errorCode: 'U002', challenge: 'insufficient_scope' },
  limit_not_confirmed: { status: 400, errorCode: 'U009', path: 'Data.ConsentId' },
  media_type_unsupported: { status: 415 },
  method_not_allowed: { status: 405 },
  not_acceptable: { status: 406 },
  parameter_invalid: { status: 400, errorCode: 'U002' },
  path_unknown: { status: 404 },
  payment_archived: { status: 400, errorCode: 'U011', path: 'DomesticPaymentId' },
  payment_not_found: { status: 400, errorCode: 'U011', path: 'DomesticPaymentId' },
  payment_not_sealed: { status: 409, errorCode: 'U029', path: 'DomesticPaymentId', retryAfterSeconds: 10 },
  payment_over_limit: { status: 400, errorCode: 'U002', path: `${amountPath}.Amount` },
  permission_missing: { status: 403, errorCode: 'U002', challenge: 'insufficient_scope' },
  permissions_invalid: { status: 400, errorCode: 'U002', path: 'Data.Permissions' },
  proof_invalid: { status: 401, challenge: 'invalid_dpop_proof' },
  scheme_unsupported: { status: 400, errorCode: 'U027' },
  statement_not_found: { status: 403, errorCode: 'U011', path: 'StatementId' }, // AIS-09
  too_many_requests: { status: 429 },
  token_invalid: { status: 401, challenge: 'invalid_token' },
  token_misplaced: { status: 400, errorCode: 'U005', path: 'access_token', challenge: 'invalid_request' },
  token_missing: { status: 401, challenge: 'none' },
  token_without_consent: { status: 401, challenge: 'invalid_token' }, // D5
} as const satisfies Record<AnyRefusal, UkAnswer>

/** D3: a token that is known, but whose own consent ended, is told so in a body; every other 401 has none. */
const consentEnded = { EXPD: 'TKXP', CANC: 'TKSP' } as const

export function ukAnswerTo(refusal: Refusal): UkAnswer {
  const status = refusal instanceof AccessRefusal ? refusal.facts.consentStatus : undefined
  if (status === 'EXPD' || status === 'CANC')
    return { status: 401, errorCode: consentEnded[status], path: 'ConsentId', challenge: 'invalid_token' }
  if (status !== undefined) return { status: 401, challenge: 'invalid_token' }
  return answers[refusal.code as AnyRefusal]
}

const messageLimit = 500

/** OBErrorResponse1. `Id` is the interaction id: one word for the client, for us, and for the log. */
export function renderUkProblem(problem: Problem): Reply {
  const errors = problem.kind === 'refused' ? problem.refusals.flatMap(renderRefusal) : [unexpected(problem.kind)]
  const status = problem.kind === 'refused' ? ukAnswerTo(problem.refusals[0]).status : problem.kind === 'fault' ? 500 : 503
  return { status, ...(errors.length > 0 && { body: { Id: problem.reference, Errors: errors } }) }
}

function renderRefusal(refusal: Refusal): object[] {
  const { errorCode, path = refusal.path } = { ...ukAnswerTo(refusal), ...(refusal.path !== undefined && { path: refusal.path }) }
  if (errorCode === undefined) return []
  return [{ ErrorCode: errorCode, Message: refusal.message.slice(0, messageLimit), ...(path !== undefined && { Path: path }) }]
}

function unexpected(kind: 'unavailable' | 'fault'): object {
  return {
    ErrorCode: 'U000',
    Message: kind === 'fault' ? 'An unexpected error. Quote the Id when you ask about it.' : 'Not available now, try again',
  }
}
