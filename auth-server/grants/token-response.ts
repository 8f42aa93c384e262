import type { Prepared } from '@bankside/service-kit/prepared'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Context, Next } from '../http/request-context.ts'
import type { ManagedGrant } from './grant-memory.ts'

/**
 * GM-04: whoever manages grants is told with each token which one it is of. And with the answer to a code the third party
 * learns the name of a consent that it never lodged: from then on it is claimed (GM-06).
 */
export function nameGrants(prepared: Prepared) {
  return async (ctx: Context, next: Next): Promise<void> => {
    await next()
    if (ctx.state.endpoint?.name !== 'token' || ctx.status !== 200) return
    const { entities, params } = (ctx as unknown as KoaContextWithOIDC).oidc
    const grant = entities.Grant as ManagedGrant | undefined
    if (grant?.claimBefore !== undefined && params?.['grant_type'] !== 'refresh_token') await claim(prepared, grant)
    if (grant?.managedGrantId !== undefined) ctx.body = { ...(ctx.body as object), grant_id: grant.managedGrantId }
  }
}

const claim = (prepared: Prepared, { jti }: ManagedGrant) => prepared.query('oidc_grant_claim', 'select consents.claim_grant($1)', [jti])
