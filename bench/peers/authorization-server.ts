/** The naive authorization server: oidc-provider as its documentation shows it, with the same profile and the same checks. */
import { randomBytes } from 'node:crypto'
import { text } from 'node:stream/consumers'
import Router from '@koa/router'
import type { JWK } from 'jose'
import { type Configuration, type Grant, interactionPolicy, type KoaContextWithOIDC, Provider } from 'oidc-provider'
import pg from 'pg'
import { decideConsent, readConsent } from './consents.ts'
import { jsonbAdapter } from './jsonb-adapter.ts'
import { consentPage, signInPage } from './pages.ts'
import { runPeer, type ServerTls, serve } from './serve.ts'

export type AuthorizationServerSettings = {
  readonly port: number
  readonly issuer: string
  readonly audience: string
  readonly databaseUrl: string
  readonly signingKey: JWK
  readonly acr: string
  readonly tls: ServerTls
}

runPeer(async (settings: AuthorizationServerSettings) => {
  const pool = new pg.Pool({ connectionString: settings.databaseUrl, max: 16 })
  const provider = new Provider(settings.issuer, configuration(settings, pool))
  provider.on('server_error', (_ctx, error) => process.stderr.write(`${error.stack}\n`))
  provider.use(interactionRoutes(provider, pool, settings.acr).routes())
  await serve(provider.callback(), settings.port, settings.tls, false)
})

function configuration({ audience, signingKey, acr }: AuthorizationServerSettings, pool: pg.Pool): Configuration {
  const algorithms = ['PS256', 'ES256'] as const
  return {
    adapter: jsonbAdapter(pool),
    jwks: { keys: [signingKey] } as never,
    cookies: { keys: [randomBytes(32).toString('hex')] },
    acrValues: [acr],
    claims: { openid: ['sub', 'acr', 'amr', 'auth_time'], openbanking_intent_id: null },
    scopes: ['openid', 'accounts', 'payments'],
    clientAuthMethods: ['private_key_jwt'],
    clientDefaults: { id_token_signed_response_alg: 'PS256' },
    enabledJWA: {
      idTokenSigningAlgValues: ['PS256'],
      clientAuthSigningAlgValues: [...algorithms],
      dPoPSigningAlgValues: [...algorithms],
      requestObjectSigningAlgValues: [...algorithms],
      authorizationSigningAlgValues: ['PS256'],
      userinfoSigningAlgValues: ['PS256'],
      introspectionSigningAlgValues: ['PS256'],
    } as never,
    routes: { pushed_authorization_request: '/par' },
    pkce: { required: () => true },
    rotateRefreshToken: false,
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: async () => false,
    ttl: {
      AccessToken: 300,
      AuthorizationCode: 60,
      ClientCredentials: 300,
      Grant: 7_776_000,
      IdToken: 300,
      Interaction: 600,
      PushedAuthorizationRequest: 60,
      RefreshToken: 7_776_000,
      Session: 1_800,
    } as never,
    features: {
      devInteractions: { enabled: false },
      fapi: { enabled: true, profile: '2.0' } as never,
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true } as never,
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => false } as never,
      clientCredentials: { enabled: true },
      claimsParameter: { enabled: true },
      revocation: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: async () => audience,
        useGrantedResource: async () => true,
        getResourceServerInfo: async () => ({
          scope: 'accounts payments',
          audience,
          accessTokenTTL: 300,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'PS256' } },
        }),
      } as never,
    },
    extraTokenClaims: async (_ctx, token) => ('grantId' in token && token.grantId ? { grant_id: token.grantId } : undefined),
    findAccount: async (ctx, sub) => ({
      accountId: sub,
      claims: async () => ({ sub, openbanking_intent_id: intentOf(ctx.oidc.entities.AuthorizationCode?.claims ?? ctx.oidc.claims) }),
    }),
    extraClientMetadata: { properties: ['first_party'] },
    // A third party's authorization is for a consent of its own: what an earlier flow granted does not count. The bank's own apps
    // skip the consent page, as the library's documentation shows it.
    loadExistingGrant: async (ctx) => {
      const { client, session, result, provider } = ctx.oidc
      const isOwn = client?.['first_party'] === true
      const grantId =
        (result?.['consent'] as { grantId?: string } | undefined)?.grantId ?? (isOwn ? session?.grantIdFor(client.clientId) : undefined)
      if (grantId !== undefined) return provider.Grant.find(grantId)
      return isOwn ? grantWithoutPage(ctx, audience) : undefined
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}`, policy: interactionPolicy.base() },
  }
}

async function grantWithoutPage({ oidc }: KoaContextWithOIDC, audience: string): Promise<Grant> {
  const grant = new oidc.provider.Grant({ clientId: oidc.client?.clientId ?? '', accountId: oidc.session?.accountId ?? '' })
  grant.addOIDCScope('openid accounts')
  grant.addResourceScope(audience, 'accounts')
  await grant.save()
  return grant
}

function interactionRoutes(provider: Provider, pool: pg.Pool, acr: string): Router {
  const router = new Router()
  router.get('/interaction/:uid', async (ctx) => {
    const { prompt, params, session, uid } = await provider.interactionDetails(ctx.req, ctx.res)
    ctx.type = 'html'
    ctx.set('cache-control', 'no-store')
    if (prompt.name === 'login') {
      ctx.body = signInPage(uid)
      return
    }
    ctx.body = consentPage(uid, await readConsent(pool, consentIdOf(params), String(params['client_id']), session?.accountId ?? ''))
  })
  router.post('/interaction/:uid', async (ctx) => {
    const { prompt, params, session } = await provider.interactionDetails(ctx.req, ctx.res)
    const form = new URLSearchParams(await text(ctx.req))
    ctx.respond = false
    if (prompt.name === 'login') {
      const login = { accountId: form.get('username') ?? '', acr, amr: ['pwd', 'otp'] }
      return provider.interactionFinished(ctx.req, ctx.res, { login }, { mergeWithLastSubmission: false })
    }
    const clientId = String(params['client_id'])
    const customerId = session?.accountId ?? ''
    const grant = new provider.Grant({ accountId: customerId, clientId })
    const missing = prompt.details as {
      missingOIDCScope?: string[]
      missingOIDCClaims?: string[]
      missingResourceScopes?: Record<string, string[]>
    }
    if (missing.missingOIDCScope) grant.addOIDCScope(missing.missingOIDCScope.join(' '))
    if (missing.missingOIDCClaims) grant.addOIDCClaims(missing.missingOIDCClaims)
    for (const [resource, scopes] of Object.entries(missing.missingResourceScopes ?? {})) grant.addResourceScope(resource, scopes.join(' '))
    const grantId = await grant.save()
    await decideConsent(pool, { consentId: consentIdOf(params), clientId, customerId, grantId, accountIds: form.getAll('account') })
    return provider.interactionFinished(ctx.req, ctx.res, { consent: { grantId } }, { mergeWithLastSubmission: true })
  })
  return router
}

function consentIdOf(params: Record<string, unknown>): string {
  const claims = params['claims']
  return intentOf(typeof claims === 'string' ? JSON.parse(claims) : claims) ?? ''
}

function intentOf(claims: unknown): string | undefined {
  return (claims as { id_token?: { openbanking_intent_id?: { value?: string } } } | undefined)?.id_token?.openbanking_intent_id?.value
}
