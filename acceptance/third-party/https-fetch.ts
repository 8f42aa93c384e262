import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import type { Trace } from './exchange.ts'

export type HttpsFetch = (url: string, init: HttpsInit) => Promise<Response>
export type HttpsInit = { method: string; headers?: Readonly<Record<string, string>>; body?: unknown; signal?: AbortSignal | undefined }
export type Identity = {
  readonly caFile: string
  readonly certFile?: string | null
  readonly keyFile?: string | null
  readonly trace?: Trace | undefined
}

const answerTimeoutMs = 20_000
const statusesWithoutBody = new Set([101, 204, 205, 304])

/**
 * A `fetch` that trusts one certificate authority only and may carry a client certificate, which the fetch of Node cannot.
 * Never follows a redirect.
 */
export function httpsFetch({ caFile, certFile, keyFile, trace }: Identity): HttpsFetch {
  const agent = new https.Agent({
    ca: readFileSync(caFile),
    ...(certFile && keyFile ? { cert: readFileSync(certFile), key: readFileSync(keyFile) } : {}),
    keepAlive: true,
    maxSockets: 16,
  })
  return async (url, { method, headers = {}, body, signal }) => {
    const startedAt = performance.now()
    const sent = bodyText(body)
    const request = https.request(url, {
      method,
      agent,
      headers: { ...headers, ...(sent === '' ? {} : { 'content-length': Buffer.byteLength(sent) }) },
      signal: signal ? AbortSignal.any([signal, AbortSignal.timeout(answerTimeoutMs)]) : AbortSignal.timeout(answerTimeoutMs),
    })
    request.end(sent)
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    const responseBody = await text(answer)
    const responseHeaders = headersOf(answer)
    const status = answer.statusCode ?? 0
    trace?.({
      method,
      url,
      requestHeaders: headers,
      requestBody: sent,
      status,
      responseHeaders,
      responseBody,
      durationMs: performance.now() - startedAt,
    })
    return new Response(statusesWithoutBody.has(status) ? null : responseBody, { status, headers: responseHeaders })
  }
}

function bodyText(body: unknown): string {
  if (body === undefined || body === null) return ''
  if (typeof body === 'string') return body
  if (body instanceof URLSearchParams) return body.toString()
  if (body instanceof Uint8Array) return Buffer.from(body).toString('utf8')
  throw new TypeError('only text, forms and bytes are sent')
}

function headersOf(answer: IncomingMessage): Headers {
  const headers = new Headers()
  for (let index = 0; index < answer.rawHeaders.length; index += 2)
    headers.append(answer.rawHeaders[index] ?? '', answer.rawHeaders[index + 1] ?? '')
  return headers
}
