import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { acceptsOneOf } from './accepted-media-types.ts'
import { type Api, type Route, takesKey } from './api.ts'
import { refuseRequest, throwViolations, type Violation } from './request-refusal.ts'

const idempotencyKeyLimit = 40
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const imfFixdate = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d{2}:\d{2}:\d{2} GMT$/

/** Where two values would mean two things (RW-H-14). A second DPoP header is refused where proofs are read. */
const singleValued = [
  ...['authorization', 'content-type', 'x-fapi-interaction-id', 'x-fapi-auth-date', 'x-fapi-customer-ip-address'],
  ...['x-customer-user-agent', 'x-idempotency-key', 'idempotency-key'],
]

/** @throws {Refusal} `not_acceptable`, `media_type_unsupported`. */
export function checkMediaTypes({ headers }: IncomingMessage, api: Api, { method }: Route): void {
  const { accept = '*/*' } = headers
  // Both spellings: negotiation compares parameters, and clients ask for the one or the other (RW-H-07).
  const isAccepted =
    accept === '*/*' ||
    accept === 'application/json' ||
    acceptsOneOf(
      accept,
      api.produces.flatMap((type) => [`${type}; charset=utf-8`, type]),
    )
  if (!isAccepted) refuseRequest('not_acceptable', `this API answers with ${api.produces.join(' or ')}`)
  if (method !== 'POST') return
  const isJson = /^application\/json(\s*;\s*charset="?utf-8"?)?\s*$/i.test(headers['content-type'] ?? '')
  const encoding = (headers['content-encoding'] ?? '').toLowerCase()
  if (!isJson || (encoding !== '' && encoding !== 'identity')) refuseRequest('media_type_unsupported', 'send application/json')
}

/**
 * Checks what the headers say before anyone believes them, all together (RW-ERR-01), and returns the idempotency key of a
 * route that takes one. Elsewhere the key is ignored (RW-H-08).
 *
 * @throws {Violations} of `header_missing` and `header_invalid`.
 */
export function checkHeaders({ headersDistinct }: IncomingMessage, api: Api, route: Route): string {
  const violations: Violation[] = []
  const invalid = (header: string, message: string) => violations.push(['header_invalid', header, message])
  const check = (header: string, isValid: (value: string) => boolean, message: string) => {
    const values = headersDistinct[header]
    if (values?.length === 1 && !isValid(values[0] as string)) invalid(header, message)
  }
  for (const header of singleValued) if ((headersDistinct[header]?.length ?? 0) > 1) invalid(header, 'must be given once')
  check('x-fapi-interaction-id', isInteractionId, 'must be a UUID')
  check('x-fapi-auth-date', (value) => imfFixdate.test(value) && !Number.isNaN(Date.parse(value)), 'must be an HTTP date')
  check('x-fapi-customer-ip-address', (value) => isIP(value) > 0, 'must be an IP address')
  const key = takesKey(route) ? idempotencyKey(headersDistinct, api, violations) : ''
  throwViolations(violations)
  return key
}

export const isInteractionId = (value: string): boolean => uuid.test(value)

function idempotencyKey(headersDistinct: IncomingMessage['headersDistinct'], api: Api, violations: Violation[]): string {
  const [header, ...aliases] = api.idempotencyHeaders
  if (violations.some(([, path]) => api.idempotencyHeaders.includes(path))) return ''
  const given = new Set([header, ...aliases].flatMap((name) => headersDistinct[name] ?? []))
  const [key = ''] = given
  if (given.size === 0) violations.push(['header_missing', header, 'required here'])
  else if (given.size > 1) violations.push(['header_invalid', header, 'two different keys were given'])
  else if (key.trim() === '' || key.length > idempotencyKeyLimit || !/^[\x20-\x7e]+$/.test(key))
    violations.push(['header_invalid', header, `must have 1 to ${idempotencyKeyLimit} visible characters`])
  return key
}
