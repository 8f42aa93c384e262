import { leastRecentlyUsed } from '@bankside/service-kit/least-recently-used'
import type { KoaContextWithOIDC, Provider } from 'oidc-provider'

type Options = Parameters<KoaContextWithOIDC['oidc']['urlFor']>[1]
type Called = { readonly ctx: KoaContextWithOIDC }

/** Two listeners with some twenty endpoints each; beyond, what asks under any name is put together as ever. */
const rememberedAtMost = 100

/**
 * The library puts the address of an endpoint together for each proof of possession that comes there. It follows from its name and where
 * the request came, since the library answers at the root of each listener; of one that also has an id in it, from that as well.
 */
export function rememberAddresses({ OIDCContext }: Provider): void {
  const { prototype } = OIDCContext
  const { urlFor } = prototype
  const known = leastRecentlyUsed<string, string>(rememberedAtMost)
  prototype.urlFor = function (this: KoaContextWithOIDC['oidc'], name: string, options?: Options) {
    const { ctx } = this as unknown as Called
    if (options !== undefined) return urlFor.call(this, name, options)
    const endpoint = `${ctx.protocol} ${ctx.host} ${name}`
    const found = known.get(endpoint)
    if (found !== undefined) return found
    const address = urlFor.call(this, name)
    known.set(endpoint, address)
    return address
  }
}
