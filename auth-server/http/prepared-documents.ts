import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { AuthServerMetrics } from '../metrics.ts'
import type { Endpoint, Listener } from './endpoints.ts'
import { interactionIdOf } from './interaction-id.ts'
import type { Context, Next } from './request-context.ts'

const names: ReadonlySet<string> = new Set(['jwks', 'discovery'])

type Document = {
  readonly headers: Readonly<Record<string, string | string[] | number>>
  readonly body: Buffer
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
    documents.set(ctx.path, {
      headers: { ...(ctx.response.headers as Document['headers']), 'content-length': body.length },
      body,
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

function answer(request: IncomingMessage, response: ServerResponse, { headers, body }: Document): void {
  response.writeHead(200, { ...headers, 'x-fapi-interaction-id': interactionIdOf(request) })
  response.end(body)
}
