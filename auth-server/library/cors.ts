import library, { type CorsOptions, type Middleware } from 'oidc-provider/lib/shared/cors.js'

/**
 * As the library's. Nearly everyone who calls is no page of a browser, so there is no `Origin`: then the answer says the same each
 * time, and it need not be found out from all headers that were set before, nor `Vary` be taken apart and put together twice.
 */
function corsOf(options: CorsOptions): Middleware {
  const whole = library(options)
  const { exposeHeaders } = options
  return async function cors(ctx, next) {
    const { req, res } = ctx
    const isPlain = ctx.method !== 'OPTIONS' && req.headers.origin === undefined && typeof exposeHeaders !== 'string'
    if (!isPlain || res.hasHeader('vary') || res.getHeaderNames().some((name) => name.startsWith('access-control-')))
      return whole(ctx, next)
    res.setHeader('Vary', 'Origin')
    res.setHeader('Access-Control-Allow-Origin', '*')
    const exposed = exposeHeaders?.(ctx) ?? []
    if (exposed.length > 0) res.setHeader('Access-Control-Expose-Headers', exposed.join(','))
    return next()
  }
}

// What imports it is the library.
export { corsOf as default }
