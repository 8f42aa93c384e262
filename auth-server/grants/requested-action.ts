import type { Consent } from '@bankside/bank/consents/consent'
import { findManagedGrant } from '@bankside/bank/consents/managed-grant'
import { isManagedGrantId, type ManagedGrantId } from '@bankside/bank/ids'
import type { Clock } from '@bankside/service-kit/clock'
import { type Database, outsideTransaction } from '@bankside/service-kit/postgres'
import { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { intentOf, type RequestParameters } from '../intents/intent.ts'
import { protocolErrors } from '../protocol-errors.ts'
import { isFirstParty } from '../storage/client-storage.ts'

/** What an authorization does to the grants of its client (Grant Management section 6.2). */
export type GrantAction = { readonly action: 'create' } | { readonly action: 'merge' | 'replace'; readonly managedGrantId: ManagedGrantId }

/** @throws {InvalidRequest} for what does not go together (GM-03), and `invalid_grant_id` for what is no id of a grant. */
export function grantActionOf({ grant_management_action: action, grant_id: grantId }: RequestParameters): GrantAction | undefined {
  if (action === undefined && grantId === undefined) return undefined
  if (action === undefined) throw new errors.InvalidRequest('grant_id needs a grant_management_action')
  if (action === 'create') {
    if (grantId !== undefined) throw new errors.InvalidRequest('a grant that is created has no grant_id yet')
    return { action }
  }
  if (action !== 'merge' && action !== 'replace') throw new errors.InvalidRequest('grant_management_action is not supported')
  if (grantId === undefined) throw new errors.InvalidRequest(`${action} needs a grant_id`)
  return { action, managedGrantId: isManagedGrantId(grantId) ? grantId : refuseGrantId() }
}

/** GM-02: unknown, over, or another client's. Which is not told. */
function refuseGrantId(): never {
  throw new errors.CustomOIDCProviderError('invalid_grant_id', 'no such grant')
}

/** Asked when the request is pushed and again when the browser brings it: between the two the grant may have been revoked. */
export function createAssertGrantAction(database: Database, clock: Clock) {
  return async (ctx: KoaContextWithOIDC, _action: string | undefined, client: Client): Promise<void> => {
    const params = ctx.oidc.params ?? {}
    const action = grantActionOf(params)
    if (action === undefined) return
    if (!isPushed(ctx)) throw new errors.InvalidRequest('grant_management_action must be pushed')
    if (isFirstParty(client)) throw new errors.InvalidRequest('apps of the bank have no grants to manage')
    if (action.action === 'create') return
    const sought = { managedGrantId: action.managedGrantId, clientId: client.clientId, now: clock.now() }
    const current = await protocolErrors(outsideTransaction(database, (tx) => findManagedGrant(tx, sought)))
    assertSameKind(action, current ?? refuseGrantId(), params, ctx.oidc.requestParamScopes)
  }
}

/** GM-01. */
const isPushed = ({ oidc }: KoaContextWithOIDC): boolean =>
  oidc.route === 'pushed_authorization_request' ||
  (oidc.route === 'authorization' && oidc.entities.PushedAuthorizationRequest !== undefined)

/** A payment is asked for once; an access stays one. The terms of a lodged consent never change, so nothing is added to it. */
function assertSameKind({ action }: GrantAction, current: Consent, params: RequestParameters, scopes: ReadonlySet<string>): void {
  if (current.kind !== 'account_access') throw new errors.InvalidRequest('a payment is neither replaced nor added to')
  if (!scopes.has('accounts')) throw new errors.InvalidRequest('a grant for accounts stays one')
  if (action === 'merge' && intentOf(params)?.type !== 'account_information')
    throw new errors.InvalidRequest('merge adds an authorization detail of type account_information')
}
