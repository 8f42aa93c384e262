import type { IncomingMessage } from 'node:http'
import { InvalidRequest } from 'oidc-provider/lib/helpers/errors.js'
import * as library from 'oidc-provider/lib/shared/selective_body.js'
import { parseForm } from '../http/parse-form.ts'
import { maxBodyBytes, wholeOf } from '../http/read-whole-body.ts'

export { json } from 'oidc-provider/lib/shared/selective_body.js'

const formType = 'application/x-www-form-urlencoded'

/**
 * As the library's. A form that says what it is in the plainest way, and how long, is read at once: to find that out, and to go through
 * it as a stream, costs the library more than to read it.
 */
export const urlencoded: library.Middleware = async (ctx, next) => {
  const length = plainFormLength(ctx.req, ctx.method)
  if (length === undefined) return library.urlencoded(ctx, next)
  try {
    const bytes = await wholeOf(ctx.req)
    if (bytes.length !== length) throw new Error('request size did not match content length')
    Object.assign(ctx.oidc, { body: parseForm(bytes.toString()) })
  } catch (cause) {
    throw new InvalidRequest('failed to parse the request body', undefined, { cause })
  }
  return next()
}

/** In bytes. Undefined for what the library should look at. */
function plainFormLength(request: IncomingMessage, method: string): number | undefined {
  const { 'content-type': type, 'content-length': given, 'transfer-encoding': encoding } = request.headers
  if (method !== 'POST' || type !== formType || given === undefined || encoding !== undefined) return undefined
  const length = Number(given)
  const isReadable = request.readable && request.readableEncoding === null
  return isReadable && Number.isInteger(length) && length <= maxBodyBytes ? length : undefined
}
