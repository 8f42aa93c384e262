import type { Context } from './request-context.ts'

/** Leads a browser on with a GET, whatever it sent (FAPI2-AZ-11). */
export function seeOther(ctx: Context, href: string): void {
  ctx.status = 303
  ctx.redirect(href)
}
