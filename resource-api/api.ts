import type { AccessDecision, AccessRequest } from '@bankside/bank/access/decide-access'
import type { Door } from '@bankside/bank/access/operations'
import type { Initiation, Made, PaymentOrder } from '@bankside/bank/payments/payment-order'
import type { History } from '@bankside/service-kit/history'
import type { Transaction } from '@bankside/service-kit/postgres'
import type { Refusal } from '@bankside/service-kit/refusal'
import type { VerifiedToken } from './access-token.ts'
import type { PathStyle } from './parse-body.ts'

/** What a handler is given. Whoever holds one has passed every step of the pipeline. */
export type Call = {
  readonly tx: Transaction
  /** For what was booked, where a moment's delay does no harm. No decision can rest on it. */
  readonly history: History
  readonly access: AccessDecision
  readonly token: VerifiedToken
  readonly parameters: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** Parsed JSON, not yet checked against what the operation expects. */
  readonly body: unknown
  /** Absolute URL of this API: what links begin with. */
  readonly baseUrl: string
  /** Absolute URL of what was requested, with its query. */
  readonly selfUrl: string
  readonly interactionId: string
  readonly now: Date
}

export type Reply = { readonly status: number; readonly body?: object; readonly headers?: Readonly<Record<string, string>> }

/** What the request names that the access decision must cover. */
export type Named = Pick<AccessRequest, 'accountId' | 'consentId'>

type Row = {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Segments that begin with a colon are parameters. */
  readonly path: string
  readonly door: Door
  /** Counts as what changes anything does. */
  readonly costly?: true
  readonly names?: (parameters: Readonly<Record<string, string>>, body: unknown) => Named
  /** Throws what is wrong with a body: asked before a customer is sent through a step-up for it. */
  readonly checkBody?: (body: unknown) => void
}
/** Asks the bank and renders, in one transaction. */
type Plain = Row & {
  readonly handle: (call: Call) => Promise<Reply> | Reply
}
/**
 * A POST that a client may repeat under one key: `create` runs once, `render` for each repeat, so that it shows the current
 * state of the same resource (RW-ID-03).
 */
type Idempotent = Row & {
  readonly newId: (now: Date) => string
  /** Makes what will go by `id`, which is one of `newId`, and answers. */
  create(call: Call, id: string): Promise<Reply>
  readonly render: (call: Call, resourceId: string) => Promise<Reply>
}
/** The same for a payment, which the bank makes together with those of other requests: key, consent, funds and all. */
type Paying = Row & {
  /** What is to be paid. Throws what is wrong with the body, as far as it must know. */
  readonly order: (call: Call) => Pick<PaymentOrder, 'consentId'> & Initiation
  /** Throws all that is wrong with the body: before the bank's own refusal, which says less. */
  readonly checkBody: (body: unknown) => void
  readonly renderMade: (call: Call, made: Made) => Promise<Reply>
  readonly render: (call: Call, paymentId: string) => Promise<Reply>
}
export type Route = Plain | Idempotent | Paying

export const isPlain = (route: Route): route is Plain => 'handle' in route
/** What asks, and changes nothing. */
export const isRead = (route: Route): boolean => isPlain(route) && route.method === 'GET'
export const isPaying = (route: Route): route is Paying => 'order' in route
export const takesKey = (route: Route): boolean => !isPlain(route)

export type Challenge =
  | 'invalid_request'
  | 'invalid_token'
  | 'insufficient_scope'
  | 'insufficient_user_authentication'
  | 'invalid_dpop_proof'
  | 'none'

/** How one refusal is answered, as far as every API answers it alike. */
export type Answer = {
  readonly status: number
  /** RFC 6750 section 3.1 error code of the challenge; `none` for a challenge without one. */
  readonly challenge?: Challenge
  readonly retryAfterSeconds?: number
}

/** What went wrong, as an API is told: nothing of a fault but its reference. */
export type Problem = { readonly reference: string } & (
  | { readonly kind: 'refused'; readonly refusals: readonly [Refusal, ...Refusal[]] }
  | { readonly kind: 'unavailable'; readonly retryAfterSeconds: number }
  | { readonly kind: 'fault' }
)

/** One API: what it speaks, its routes, and its table of refusals. */
export type Api = {
  readonly name: 'uk' | 'bank'
  readonly prefix: string
  readonly audience: string
  /** Media types an Accept header may ask for. */
  readonly produces: readonly string[]
  /** Where a client may put its idempotency key; the first is the one that refusals name. */
  readonly idempotencyHeaders: readonly [string, ...string[]]
  /** Whose word a key is: of a third party, or of the customer behind an app that all customers share. */
  readonly idempotencyKeysOf: 'client' | 'customer'
  /** How refusals name a place in a body. */
  readonly pathStyle: PathStyle
  readonly routes: readonly Route[]
  readonly answerTo: (refusal: Refusal) => Answer
  readonly renderProblem: (problem: Problem) => Reply
}
