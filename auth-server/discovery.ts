import type { Context, Next } from 'koa'
import { allOfProfiles } from './client-policy/profiles.ts'

export const routes = {
  authorization: '/auth',
  token: '/token',
  pushed_authorization_request: '/par',
  revocation: '/revocation',
  backchannel_authentication: '/backchannel',
  introspection: '/introspection',
  userinfo: '/userinfo',
  jwks: '/jwks',
  registration: '/register',
} as const

/** Not one of the library's. */
export const grantsPath = '/grants'

export const wellKnownPaths: ReadonlySet<string> = new Set(['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server'])

/** What the library's document lacks. Browsers never see the twin: the authorization endpoint has no alias (RFC 8705 section 5). */
export const additionalMetadata = (issuer: string, mtlsIssuer: string) => ({
  mtls_endpoint_aliases: {
    token_endpoint: mtlsIssuer + routes.token,
    pushed_authorization_request_endpoint: mtlsIssuer + routes.pushed_authorization_request,
    revocation_endpoint: mtlsIssuer + routes.revocation,
    backchannel_authentication_endpoint: mtlsIssuer + routes.backchannel_authentication,
    introspection_endpoint: mtlsIssuer + routes.introspection,
    userinfo_endpoint: mtlsIssuer + routes.userinfo,
    registration_endpoint: mtlsIssuer + routes.registration,
    grant_management_endpoint: mtlsIssuer + grantsPath,
  },
  // On the twin only: who registers by statement comes with a certificate (UKDCR-01).
  registration_endpoint: mtlsIssuer + routes.registration,
  introspection_endpoint_auth_methods_supported: allOfProfiles(({ clientAuthentication }) => clientAuthentication),
  introspection_endpoint_auth_signing_alg_values_supported: allOfProfiles(({ signingAlgorithms }) => signingAlgorithms),
  revocation_endpoint_auth_methods_supported: allOfProfiles(({ clientAuthentication }) => clientAuthentication),
  revocation_endpoint_auth_signing_alg_values_supported: allOfProfiles(({ signingAlgorithms }) => signingAlgorithms),
  ui_locales_supported: ['en-GB'],
  grant_management_endpoint: issuer + grantsPath,
  end_session_endpoint: `${issuer}/session/end`,
  grant_management_actions_supported: ['query', 'revoke', 'create', 'merge', 'replace'],
  grant_management_action_required: false,
})

const documentSeconds = 300

/**
 * The library says that it does all response modes, and takes its own address from the request. Here responses come as the
 * profiles say, and the document is one, byte for byte, on whichever listener it is asked for (FAPI2-AS-01).
 */
export function exactDiscovery(issuer: string) {
  const { host } = new URL(issuer)
  return async (ctx: Context, next: Next): Promise<void> => {
    // Keys are published longer before they sign than anybody keeps the set (`npm run rotate-keys`).
    if (ctx.path === routes.jwks || wellKnownPaths.has(ctx.path)) ctx.set('Cache-Control', `public, max-age=${documentSeconds}`)
    if (!wellKnownPaths.has(ctx.path)) return next()
    ctx.req.headers.host = host
    await next()
    const document = ctx.body as Record<string, unknown> | undefined
    if (ctx.status === 200 && document !== undefined)
      ctx.body = {
        ...document,
        // The hybrid flow is filed under it too; what it would give otherwise, a token in the front channel, is not to be had.
        grant_types_supported: (document['grant_types_supported'] as string[]).filter((type) => type !== 'implicit'),
        response_modes_supported: allOfProfiles(({ responseModes }) => responseModes),
        claims_supported: claimsSupported,
        ...corrected,
      }
  }
}

/** The library says yes to user codes whether or not anybody looks at them (UKDCR-11). */
const corrected = { backchannel_user_code_parameter_supported: false }

const claimsSupported = [
  'sub',
  'iss',
  'auth_time',
  'sid',
  'acr',
  'amr',
  'name',
  'openbanking_intent_id',
  'http://openbanking.org.uk/refresh_token_expires_at',
]
