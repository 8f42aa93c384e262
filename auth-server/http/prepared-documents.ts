import { isAscii } from 'node:buffer'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { systemClock } from '@bankside/service-kit/clock'
import { keepAliveSeconds } from '@bankside/service-kit/tls-server'
import type { AuthServerMetrics } from '../metrics.ts'
import type { Endpoint, Listener } from './endpoints.ts'
import { interactionIdOf } from './interaction-id.ts'
import type { Context, Next } from './request-context.ts'

const names: ReadonlySet<string> = new Set(['jwks', 'discovery'])

type Headers = Readonly<Record<string, string | string[] | number>>
type Document = {
  readonly headers: Headers
  readonly body: Buffer
  /** The same as text, if there is nothing in it that both encodings do not write alike. */
  readonly ready: { readonly head: string; readonly body: string } | undefined
  readonly underAnyName: boolean
  readonly count: { observe(seconds: number): void }
}

/**
 * JWKS and discovery say the same to everyone until the keys change, and then there is another server with other documents
 * (`followKeys`). So the first answer is kept, and whoever asks as plainly gets its bytes without Koa or the library.
 * Anything else about a request (another method, a query, an Origin) takes the long way. Counted, but not in the log: anyone
 * fetches them, and often.
 */
export function preparedDocuments({ listener, origin, metrics }: { listener: Listener; origin: string; metrics: AuthServerMetrics }) {
  const { host } = new URL(origin)
  const documents = new Map<string, Document>()

  const remember = async (ctx: Context, next: Next): Promise<void> => {
    await next()
    const endpoint = ctx.state.endpoint
    const plain = ctx.method === 'GET' && ctx.req.url === ctx.path && ctx.get('origin') === ''
    if (!plain || ctx.status !== 200 || endpoint === undefined || !names.has(endpoint.name) || typeof ctx.body !== 'object') return
    const body = Buffer.from(JSON.stringify(ctx.body))
    const labels = { listener, route: endpoint.name, method: 'GET', status: '200' }
    const headers = { ...(ctx.response.headers as Headers), 'content-length': body.length }
    documents.set(ctx.path, {
      headers,
      body,
      ready: isAscii(body) ? { head: headOf(headers), body: body.toString('latin1') } : undefined,
      underAnyName: endpoint.underAnyName === true,
      count: metrics.requests.labels(labels),
    })
  }

  const before =
    (handler: RequestListener): RequestListener =>
    (request, response) => {
      const document = isPlain(request) ? documents.get(request.url ?? '') : undefined
      if (document === undefined || !(document.underAnyName || request.headers.host === host)) return handler(request, response)
      const begun = performance.now()
      answer(request, response, document)
      document.count.observe((performance.now() - begun) / 1000)
    }
  return { isFor: ({ name }: Endpoint) => names.has(name), remember, before }
}

/** A body that comes with a GET would stand before the next request. */
const isPlain = ({ method, headers }: IncomingMessage): boolean =>
  method === 'GET' && headers.origin === undefined && headers['content-length'] === undefined && headers['transfer-encoding'] === undefined

function answer(request: IncomingMessage, response: ServerResponse, { headers, body, ready }: Document): void {
  const id = interactionIdOf(request)
  const { shouldKeepAlive } = response
  if (ready === undefined || !shouldKeepAlive || request.httpVersionMinor !== 1 || !giveHead(response, () => headNow(ready.head, id))) {
    response.writeHead(200, { ...headers, 'x-fapi-interaction-id': id })
    response.end(body)
  } else response.end(ready.body, 'latin1')
}

/**
 * Where Node keeps the head of an answer, ready to be sent: twenty headers that are the same each time need not be checked and
 * put together each time. The rest (what follows the answer on the connection) stays Node's.
 */
function giveHead(response: ServerResponse, head: () => string): boolean {
  const place = response as unknown as { _header?: string | null }
  if (place._header !== null) return false
  place._header = head()
  return true
}

const eachTime: ReadonlySet<string> = new Set(['x-fapi-interaction-id', 'date', 'connection', 'keep-alive'])

function headOf(headers: Headers): string {
  const lines = Object.entries(headers).filter(([name]) => !eachTime.has(name))
  const same = lines.flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}\r\n`))
  return `HTTP/1.1 200 OK\r\n${same.join('')}Connection: keep-alive\r\nKeep-Alive: timeout=${keepAliveSeconds}\r\n`
}

let second = 0
let date = ''

function headNow(head: string, id: string): string {
  const now = systemClock.now()
  const begun = Math.floor(now.getTime() / 1000)
  if (begun !== second) {
    second = begun
    date = now.toUTCString()
  }
  return `${head}x-fapi-interaction-id: ${id}\r\nDate: ${date}\r\n\r\n`
}
