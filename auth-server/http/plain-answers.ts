import Koa from 'koa'
import type { Context, State } from './request-context.ts'

type Run = (ctx: Context) => Promise<void>
const { handleRequest } = Koa.prototype as unknown as { handleRequest(this: Koa<State>, ctx: Context, run: Run): Promise<void> }

/**
 * Koa, which gives answers of JSON and text a shorter way: nearly all are. Who is led on to another address is given no page that names it
 * once more: what is on it, a code say, is for nobody else. And it does not listen for how each answer ends on its connection, for which
 * Koa puts listeners on both: what is wrong with a connection, the server is told (`refuseMalformed`).
 */
export class PlainAnswers extends Koa<State> {
  constructor() {
    super()
    this.response.redirect = leadOn
  }

  /** What Koa calls for each request. */
  handleRequest(ctx: Context, run: Run): Promise<void> {
    ctx.res.statusCode = 404
    return run(ctx)
      .then(() => (isPlain(ctx) ? answer(ctx) : this.#answerAsKoa(ctx)))
      .catch((error: unknown) => ctx.onerror(error as Error))
  }

  #answerAsKoa(ctx: Context): Promise<void> {
    const { statusCode } = ctx.res
    return handleRequest.call(this, ctx, async () => {
      ctx.res.statusCode = statusCode
    })
  }
}

const withoutBody: ReadonlySet<number> = new Set([204, 205, 304])

function isPlain({ respond, method, body, res, writable }: Context): boolean {
  const isJson = typeof body === 'object' && body !== null && Object.getPrototypeOf(body) === Object.prototype
  const isText = typeof body === 'string'
  return (isJson || isText) && respond !== false && method !== 'HEAD' && writable && !res.headersSent && !withoutBody.has(res.statusCode)
}

function answer({ res, body }: Context): void {
  if (typeof body === 'string') {
    res.end(body)
    return
  }
  const text = JSON.stringify(body)
  const length = Buffer.byteLength(text)
  res.setHeader('Content-Length', length)
  // ASCII goes out with the head as it is; anything else is encoded first.
  res.end(text, length === text.length ? 'latin1' : 'utf8')
}

const { redirect } = new Koa().response
const redirects: ReadonlySet<number> = new Set([300, 301, 302, 303, 305, 307, 308])
/** Nothing in it that Koa would encode. */
const encoded = /^(?:[\x21\x23-\x24\x26-\x3B\x3D\x3F-\x5F\x61-\x7A\x7C\x7E]|%[0-9A-Fa-f]{2})*$/

function leadOn(this: Koa.Response, to: string): void {
  const address = /^https?:\/\//i.test(to) ? new URL(to).href : to
  if (!encoded.test(address)) redirect.call(this, to)
  else this.set('Location', address)
  if (!redirects.has(this.status)) this.status = 302
  this.set('Content-Type', 'text/plain; charset=utf-8')
  this.body = ''
}
