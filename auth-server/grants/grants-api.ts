import type { Consent } from '@bankside/bank/consents/consent'
import { giveUpConsent } from '@bankside/bank/consents/give-up-consent'
import { findManagedGrant } from '@bankside/bank/consents/managed-grant'
import { isManagedGrantId } from '@bankside/bank/ids'
import { outsideTransaction, transact } from '@bankside/service-kit/postgres'
import type { Grant, Provider } from 'oidc-provider'
import type { AuthServerDependencies } from '../app.ts'
import type { Context, Next } from '../http/request-context.ts'
import { audiencesOf } from '../tokens/resource-servers.ts'
import { presentedToken, proofAlgorithms, TokenRefusal } from './client-token.ts'

/** What each method needs and does (Grant Management section 7). */
const operations = {
  GET: { scope: 'grant_management_query', act: query },
  DELETE: { scope: 'grant_management_revoke', act: revoke },
} as const

/**
 * GM-07 to GM-09: `/grants/{grant_id}`, for the client whose grant it is, with its own token. An id that is unknown, over, or
 * another client's is answered alike: knowing one gives nothing (GM-11).
 */
export function grantsApi(provider: Provider, dependencies: AuthServerDependencies, origin: string) {
  const audience = audiencesOf(dependencies.config).grants
  const needs = { ...dependencies, provider }
  return async (ctx: Context, next: Next): Promise<void> => {
    if (ctx.state.endpoint?.name !== 'grant') return next()
    ctx.set('Cache-Control', 'no-store')
    const operation = operations[ctx.method as keyof typeof operations]
    try {
      const token = await presentedToken(ctx, { audience, origin }, needs)
      if (!token.scopes.has(operation.scope)) return answerScope(ctx, operation.scope)
      await operation.act(ctx, String(token.clientId), needs)
    } catch (error) {
      if (!(error instanceof TokenRefusal)) throw error
      answerRefusal(ctx, error)
    }
  }
}

type Needs = AuthServerDependencies & { readonly provider: Provider }

async function query(ctx: Context, clientId: string, { provider, database, clock }: Needs): Promise<void> {
  const consent = await outsideTransaction(database, (tx) =>
    findManagedGrant(tx, { managedGrantId: idIn(ctx), clientId, now: clock.now() }),
  )
  const grant = consent?.grantId === undefined ? undefined : await provider.Grant.find(consent.grantId)
  if (consent === undefined || grant === undefined) return answerUnknown(ctx)
  ctx.body = statusOf(consent, grant)
}

async function revoke(ctx: Context, clientId: string, { database, clock }: Needs): Promise<void> {
  const now = clock.now()
  const found = await transact(database, async (tx) => {
    const consent = await findManagedGrant(tx, { managedGrantId: idIn(ctx), clientId, now })
    if (consent === undefined) return false
    const interactionId = ctx.state.requestId
    await giveUpConsent(tx, { consentId: consent.id, clientId, through: 'grant_management', interactionId, now })
    return true
  })
  if (!found) return answerUnknown(ctx)
  ctx.status = 204
}

function idIn(ctx: Context) {
  const [, , id] = ctx.path.split('/')
  return isManagedGrantId(id) ? id : nobodys
}

/** What no grant is called: everything that is no id is asked for under this name. */
const nobodys = `gnt_${'0'.repeat(32)}` as const

/** GM-08: what the customer agreed to, and never a token. */
function statusOf(consent: Consent, grant: Grant): object {
  const resources = Object.entries((grant as { resources?: Record<string, string> }).resources ?? {})
  return {
    scopes: resources.map(([resource, scope]) => ({ scope, resource: [resource] })),
    claims: grant.getOIDCClaims(),
    authorization_details: grant.rar ?? [],
    created_at: consent.managedSince?.toISOString(),
    last_updated_at: consent.authorisedAt?.toISOString(),
    ...(consent.kind === 'account_access' && consent.expiresAt && { expires_at: consent.expiresAt.toISOString() }),
  }
}

function answerUnknown(ctx: Context): void {
  ctx.status = 404
  ctx.body = { error: 'not_found', error_description: 'no such grant of this client' }
}

function answerScope(ctx: Context, scope: string): void {
  ctx.status = 403
  ctx.set('WWW-Authenticate', challenges(`error="insufficient_scope", scope="${scope}"`))
  ctx.body = { error: 'insufficient_scope', error_description: `needs scope ${scope}` }
}

function answerRefusal(ctx: Context, { code, message }: TokenRefusal): void {
  ctx.status = 401
  ctx.set('WWW-Authenticate', challenges(code === undefined ? '' : `error="${code}"`))
  ctx.body = code === undefined ? '' : { error: code, error_description: message }
  ctx.state.log.info({ code, detail: message }, 'refused')
}

const challenges = (parameters: string): string =>
  `DPoP algs="${proofAlgorithms.join(' ')}"${parameters === '' ? '' : `, ${parameters}`}, Bearer${parameters === '' ? '' : ` ${parameters}`}`
