import type { ServerResponse } from 'node:http'
import type { Reply } from './api.ts'

/** The same headers on every answer, in constants: a header library would cost more than all of the pipeline's own checks. */
export const hardening = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
}
/** As Node takes them without looking twice: name, value, name, value. */
const hardeningPairs = Object.entries(hardening).flat()

/** Head and body in one write. */
export function send(response: ServerResponse, interactionId: string, { status, body, headers }: Reply): void {
  if (response.writableEnded || response.destroyed) return
  const text = body === undefined ? '' : JSON.stringify(body)
  const bytes = Buffer.byteLength(text)
  const pairs = [...hardeningPairs, 'x-fapi-interaction-id', interactionId]
  if (body !== undefined && headers?.['content-type'] === undefined) pairs.push('content-type', 'application/json; charset=utf-8')
  if (status !== 204) pairs.push('content-length', String(bytes))
  for (const name in headers) pairs.push(name, headers[name] as string)
  // Letters of one byte each need not be encoded.
  response.writeHead(status, pairs).end(text, bytes === text.length ? 'latin1' : 'utf8')
}
