import { type ConsentKind, scopeOfKind } from '@bankside/bank/consents/consent'
import { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { assertBackchannelRequest, assertRecognisable } from '../backchannel/assert-backchannel-request.ts'
import { assertRequestRules } from '../requests/request-rules.ts'
import { isFirstParty } from '../storage/client-storage.ts'
import type { IntentKinds } from './consent-ahead.ts'
import { type Intent, intentOf } from './intent.ts'
import { assertReachableAcr } from './requested-claims.ts'

/**
 * What every authorization request must be beyond well-formed: within the client's scopes, for an assurance we can reach,
 * and for a consent that is this client's, still open, and of the kind that the scope says. Asked when the request is
 * pushed and again when the browser brings it: between the two a consent may be deleted or run out.
 */
export function createAssertAuthorizationRequest(intents: IntentKinds) {
  return async (ctx: KoaContextWithOIDC, _scope: string | undefined, client: Client): Promise<void> => {
    const isBackchannel = ctx.oidc.route === 'backchannel_authentication'
    if (isBackchannel) await assertBackchannelRequest(ctx, client)
    else assertRequestRules(ctx, client)
    const params = ctx.oidc.params ?? {}
    assertScopes(ctx, client)
    assertReachableAcr(params)
    const intent = intentOf(params)
    if (isBackchannel) assertRecognisable(ctx, intent)
    if (isFirstParty(client)) return assertFirstParty(intent, ctx.oidc.requestParamScopes)
    if (intent === undefined) throw new errors.InvalidRequest('a consent must be named by openbanking_intent_id or authorization_details')
    if (intent.type !== 'openbanking_consent') return assertScopeFits(kindOfDetail[intent.type], ctx.oidc.requestParamScopes)
    const kind = await intents.find(ctx, { consentId: intent.consentId, clientId: client.clientId })
    if (kind === undefined) throw new errors.InvalidRequest('the consent is unknown, not yours, or no longer open')
    assertScopeFits(kind, ctx.oidc.requestParamScopes)
  }
}

/** What a third party's detail becomes. */
const kindOfDetail = { account_information: 'account_access', payment_initiation: 'domestic_payment' } as const

function assertScopes(ctx: KoaContextWithOIDC, client: Client): void {
  const allowed = new Set(client.scope?.split(' '))
  const refused = [...ctx.oidc.requestParamScopes].find((scope) => !allowed.has(scope))
  if (refused !== undefined) throw new errors.InvalidScope('requested scope is not allowed', refused)
}

/** RW-TOK-08. Neither less than the consent needs nor more: an account access never carries `payments`. */
function assertScopeFits(kind: ConsentKind, scopes: ReadonlySet<string>): void {
  const needed = scopeOfKind[kind]
  const others = [...scopes].filter((scope) => scope !== 'openid' && scope !== needed)
  if (!scopes.has(needed) || others.length > 0) throw new errors.InvalidScope('the scope does not fit the consent', needed)
}

function assertFirstParty(intent: Intent | undefined, scopes: ReadonlySet<string>): void {
  if (intent?.type === 'openbanking_consent') throw new errors.InvalidRequest('apps of the bank name no consent')
  if (intent?.type === 'payment_initiation' && !scopes.has(scopeOfKind.transfer))
    throw new errors.InvalidScope('payment_initiation needs payments:write', scopeOfKind.transfer)
}
