import { promisify } from 'node:util'
import helmet from 'helmet'
import type { Context } from 'koa'

const twoYearsSeconds = 63_072_000

const baseHeaders = promisify(
  helmet({
    contentSecurityPolicy: false,
    // Ports of one host share this: subdomains of a developer's localhost are left alone.
    strictTransportSecurity: { maxAge: twoYearsSeconds, includeSubDomains: false },
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
  }),
)

const nothing = ["'none'"]
const self = ["'self'"]

/** FAPI2-NET-08, BCP-17. On every answer, whatever it is. */
export async function setSecurityHeaders(ctx: Context): Promise<void> {
  await baseHeaders(ctx.req, ctx.res)
  ctx.set('Permissions-Policy', 'camera=(), geolocation=(), microphone=(), payment=()')
  await setContentSecurityPolicy(ctx)
}

/**
 * No script, nothing from elsewhere, in no frame. Browsers hold a form to `form-action` along all redirects that follow, so
 * the page whose form ends at the third party must name that origin: this one's, and only on this page.
 */
export async function setContentSecurityPolicy(ctx: Context, redirectOrigin?: string): Promise<void> {
  const directives = {
    defaultSrc: nothing,
    styleSrc: self,
    imgSrc: self,
    formAction: redirectOrigin === undefined ? self : [...self, redirectOrigin],
    frameAncestors: nothing,
    baseUri: nothing,
  }
  await promisify(helmet.contentSecurityPolicy({ useDefaults: false, directives }))(ctx.req, ctx.res)
}
