import { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { keptWithRequest } from '../http/kept-with-request.ts'

type Claims = Readonly<Record<string, unknown>>
type AssertRequestObject = (ctx: KoaContextWithOIDC, claims: Claims, header: Claims, client: Client) => void

const longestIdentifier = 256

const kept = keptWithRequest<Claims>('request object')

/** What the signed request of this call says, beside the parameters that the library takes from it. */
export const requestObjectOf = (ctx: KoaContextWithOIDC): Claims | undefined => kept.get(ctx)

/**
 * CIBA 7.1.1, CIBA-04: what a signed backchannel request says of itself beyond any other request object. Issuer, audience and
 * signature are the library's to check; its answer to any fault is `invalid_request`.
 *
 * @throws {InvalidRequestObject}
 */
export const keepingBackchannelRequest =
  (assert: AssertRequestObject): AssertRequestObject =>
  (ctx, claims, header, client) => {
    assert(ctx, claims, header, client)
    if (ctx.oidc.route !== 'backchannel_authentication') return
    const { iat, jti } = claims
    if (typeof iat !== 'number') throw new errors.InvalidRequestObject('iat is missing')
    if (typeof jti !== 'string' || jti === '' || jti.length > longestIdentifier)
      throw new errors.InvalidRequestObject(`jti must have 1 to ${longestIdentifier} characters`)
    kept.set(ctx, claims)
  }
