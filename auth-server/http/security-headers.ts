import type { IncomingMessage, ServerResponse } from 'node:http'
import helmet from 'helmet'
import type { Context } from 'koa'

const twoYearsSeconds = 63_072_000
const nothing = ["'none'"]
const self = ["'self'"]

/** No script, nothing from elsewhere, in no frame. */
const contentSecurityPolicy = helmet.contentSecurityPolicy({
  useDefaults: false,
  directives: { defaultSrc: nothing, styleSrc: self, imgSrc: self, formAction: self, frameAncestors: nothing, baseUri: nothing },
})

/** The headers of every answer are the same: they are put together once, not with each request. */
const headers: Readonly<Record<string, string>> = {
  ...headersOf(
    helmet({
      contentSecurityPolicy: false,
      // Ports of one host share this: subdomains of a developer's localhost are left alone.
      strictTransportSecurity: { maxAge: twoYearsSeconds, includeSubDomains: false },
      referrerPolicy: { policy: 'no-referrer' },
      xFrameOptions: { action: 'deny' },
    }),
  ),
  ...headersOf(contentSecurityPolicy),
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=(), payment=()',
}

const headersInOrder = Object.entries(headers)

type Middleware = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void

function headersOf(middleware: Middleware): Record<string, string> {
  const set: Record<string, string> = {}
  const response = {
    setHeader: (name: string, value: string) => {
      set[name] = value
    },
    removeHeader: () => {},
  }
  middleware({} as IncomingMessage, response as unknown as ServerResponse, (error) => {
    if (error !== undefined) throw error
  })
  return set
}

/** FAPI2-NET-08, BCP-17. On every answer, whatever it is. */
export function setSecurityHeaders({ res }: Context): void {
  for (const [name, value] of headersInOrder) res.setHeader(name, value)
}

/**
 * Browsers hold a form to `form-action` along all redirects that follow, so the page whose form ends at the third party
 * must name that origin: this one's, and only on this page.
 */
export function allowFormsTo(ctx: Context, redirectOrigin: string): void {
  const policy = headers['Content-Security-Policy'] ?? ''
  ctx.set('Content-Security-Policy', policy.replace("form-action 'self'", `form-action 'self' ${redirectOrigin}`))
}
