import type { KoaContextWithOIDC, Provider } from 'oidc-provider'
import { profileOf } from '../client-policy/profiles.ts'
import { routes } from '../discovery.ts'

type Called = { readonly ctx: KoaContextWithOIDC; readonly client?: KoaContextWithOIDC['oidc']['client'] }

/**
 * What the library accepts as `aud` of a client assertion, by the client's profile. Where it may be an address, it is the
 * token endpoint or the endpoint that is called, under either of this server's names: clients use aliases, and not all say so.
 */
export function acceptAssertionAudiences(provider: Provider, origins: readonly string[]): void {
  provider.OIDCContext.prototype.clientJwtAuthExpectedAudience = function (this: unknown) {
    const { ctx, client } = this as Called
    if (client === undefined || profileOf(client).assertionAudience === 'issuer') return new Set([provider.issuer])
    return new Set([provider.issuer, ...origins.flatMap((origin) => [origin + routes.token, origin + ctx.path])])
  }
}
