import type { Clock } from '@bankside/service-kit/clock'
import type { Grant, interactionPolicy, KoaContextWithOIDC, Provider } from 'oidc-provider'
import type { Config } from '../config.ts'
import type { ManagedGrant } from '../grants/grant-memory.ts'
import { intentOf } from '../intents/intent.ts'
import type { AuthServerMetrics } from '../metrics.ts'
import { isFirstParty } from '../storage/client-storage.ts'
import { claimsAskedFor, saveGrant } from './grant.ts'

type Deciding = { readonly config: Config; readonly clock: Clock; readonly policy: interactionPolicy.DefaultPolicy }

/** What the library asks of the grant, not of the request: a grant that is made for the request has it. */
const askedOfGrant: ReadonlySet<string> = new Set(['op_scopes_missing', 'op_claims_missing', 'rs_scopes_missing', 'rar_prompt'])

/**
 * Single sign-on: an app of ours has no page of its own to agree on, so where the session is good enough for the request it is
 * answered at once. What the app was given through this session before is enough where it covers the request. A payment, and
 * whatever else needs a page, is left to a journey, and so is everything that a third party asks for.
 */
export function grantBySession({ config, clock, policy }: Deciding) {
  const checks = policy.flatMap((prompt) => prompt.checks.filter(({ reason }) => !askedOfGrant.has(reason)))
  const asksNothing = async (ctx: KoaContextWithOIDC): Promise<boolean> => {
    for (const { check } of checks) if (await check(ctx)) return false
    return true
  }
  return async (ctx: KoaContextWithOIDC): Promise<Grant | undefined> => {
    const { client, params, provider, route } = ctx.oidc
    if (client === undefined || params === undefined || route !== 'authorization') return undefined
    if (!isFirstParty(client) || intentOf(params) !== undefined || !(await asksNothing(ctx))) return undefined
    const found = await grantGiven(ctx)
    if (found !== undefined) return found
    await useUp(ctx)
    const { uid, accountId = '' } = sessionOf(ctx)
    const order = { params, clientId: client.clientId, customerId: accountId, consent: undefined, accountIds: [], firstParty: true }
    return saveGrant(provider, config, { ...order, throughSession: uid, now: clock.now() })
  }
}

/** The same way as through the pages, one step shorter. */
export function countSignOns(provider: Provider, metrics: AuthServerMetrics): void {
  provider.on('authorization.success', ({ oidc }: KoaContextWithOIDC) => {
    if (oidc.route === 'authorization') metrics.journeys.inc({ kind: 'first_party', outcome: 'authorised' })
  })
}

const sessionOf = ({ oidc }: KoaContextWithOIDC) => oidc.session ?? neverMissing()
const neverMissing = (): never => {
  throw new Error('an authorization request without a session')
}

async function grantGiven(ctx: KoaContextWithOIDC): Promise<Grant | undefined> {
  const { client, provider } = ctx.oidc
  const grantId = sessionOf(ctx).authorizations?.[client?.clientId ?? '']?.grantId
  const grant = grantId === undefined ? undefined : await provider.Grant.find(grantId)
  return grant !== undefined && covers(grant, ctx) ? grant : undefined
}

/** Nothing that was asked is missing, and userinfo tells what this request asked for and nothing else. What is for a payment covers nothing. */
function covers(grant: ManagedGrant, ctx: KoaContextWithOIDC): boolean {
  const { client, params = {}, requestParamClaims, requestParamScopes } = ctx.oidc
  if (grant.accountId !== sessionOf(ctx).accountId || grant.clientId !== client?.clientId || grant.rar !== undefined) return false
  const scopes = new Set(grant.getOIDCScopeEncountered().split(' '))
  const claims = new Set(grant.getOIDCClaimsEncountered())
  const told = new Set(grant.userinfoClaims)
  const { userinfoClaims: asked } = claimsAskedFor(params)
  return (
    [...requestParamScopes].every((scope) => scopes.has(scope)) &&
    [...requestParamClaims].every((claim) => claims.has(claim)) &&
    asked.length === told.size &&
    asked.every((claim) => told.has(claim))
  )
}

/** Of those who open one pushed request at once, one makes a grant: whoever uses it up, whom the library would ask only afterwards. */
async function useUp({ oidc }: KoaContextWithOIDC): Promise<void> {
  const pushed = oidc.entities.PushedAuthorizationRequest as { consume(): Promise<void> } | undefined
  if (pushed === undefined) return
  await pushed.consume()
  pushed.consume = async () => {}
}
