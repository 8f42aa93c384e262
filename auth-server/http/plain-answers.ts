import Koa from 'koa'
import type { Context, State } from './request-context.ts'

type Run = (ctx: Context) => Promise<void>
const { handleRequest } = Koa.prototype as unknown as { handleRequest(this: Koa<State>, ctx: Context, run: Run): Promise<void> }

/**
 * Koa, which gives answers of JSON a shorter way: most are. And it does not listen for how each answer ends on its connection, for which
 * Koa puts listeners on both: what is wrong with a connection, the server is told (`refuseMalformed`).
 */
export class PlainAnswers extends Koa<State> {
  /** What Koa calls for each request. */
  handleRequest(ctx: Context, run: Run): Promise<void> {
    ctx.res.statusCode = 404
    return run(ctx)
      .then(() => (isJson(ctx) ? answer(ctx) : this.#answerAsKoa(ctx)))
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

function isJson({ respond, method, body, res, writable }: Context): boolean {
  const isObject = typeof body === 'object' && body !== null && Object.getPrototypeOf(body) === Object.prototype
  return isObject && respond !== false && method !== 'HEAD' && writable && !res.headersSent && !withoutBody.has(res.statusCode)
}

function answer({ res, body }: Context): void {
  const text = JSON.stringify(body)
  res.setHeader('Content-Length', Buffer.byteLength(text))
  res.end(text)
}
