import type { KoaContextWithOIDC } from 'oidc-provider'

const shortestSeconds = 1
const usualSeconds = 300
export const longestSeconds = 600

/** CIBA 7.1: as long as the client asks for, within what a customer can be expected to look at. */
export function requestSeconds(ctx: KoaContextWithOIDC): number {
  const asked = Number(ctx.oidc.params?.['requested_expiry'] ?? usualSeconds)
  return Math.min(longestSeconds, Math.max(shortestSeconds, asked))
}
