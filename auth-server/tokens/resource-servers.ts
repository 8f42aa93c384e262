import type { ClientCertificate } from '@bankside/service-kit/client-certificate'
import {
  type AccessToken,
  type Client,
  type ClientCredentials,
  errors,
  type KoaContextWithOIDC,
  type RefreshToken,
  type ResourceServer,
} from 'oidc-provider'
import type { NoteCertificate } from '../client-authentication/note-certificate.ts'
import { profileOf } from '../client-policy/profiles.ts'
import type { Config } from '../config.ts'
import { grantsPath } from '../discovery.ts'
import { isFirstParty } from '../storage/client-storage.ts'
import { assertInRegister, assertLicensed, assertRegistered } from './assert-licensed.ts'
import { accessTokenSeconds } from './lifetimes.ts'
import { scopes } from './scopes.ts'

/** The third is this server's own: where clients ask after what they were granted. */
export type Audiences = { readonly ukOpenBanking: string; readonly bankApi: string; readonly grants: string }

export const audiencesOf = (config: Config): Audiences => ({
  ukOpenBanking: config.UK_AUDIENCE,
  bankApi: config.BANK_AUDIENCE,
  grants: config.ISSUER + grantsPath,
})

/** A third party acts for itself only to lodge consents, and to ask after them and after its grants. */
const scopesOfClientCredentials: Readonly<Record<'ukOpenBanking' | 'grants', readonly string[]>> = {
  ukOpenBanking: ['accounts', 'payments'],
  grants: scopes.grants,
}

type CertificateOf = (ctx: KoaContextWithOIDC) => ClientCertificate | undefined

/**
 * Tokens have one audience, and a client has one API: third parties the UK's, our own apps the bank's. A third party's own
 * token may be for its grants instead, never for both.
 */
export function createResourceServers(audiences: Audiences, certificateOf: CertificateOf, noteCertificate: NoteCertificate) {
  const apiOf = (ctx: KoaContextWithOIDC, client: Client): keyof Audiences => {
    if (isFirstParty(client)) return 'bankApi'
    return isForItself(ctx) && asksForGrants(ctx) ? 'grants' : 'ukOpenBanking'
  }
  return {
    defaultResource: (ctx: KoaContextWithOIDC, client: Client) => audiences[apiOf(ctx, client)],
    useGrantedResource: () => true,
    getResourceServerInfo(ctx: KoaContextWithOIDC, resource: string, client: Client): ResourceServer | Promise<ResourceServer> {
      const api = apiOf(ctx, client)
      if (resource !== audiences[api]) throw new errors.InvalidTarget()
      assertInRegister(ctx, client)
      if (ctx.oidc.route === 'token' && !isFirstParty(client)) {
        assertRegistered(ctx, client)
        assertLicensed(ctx, client, certificateOf(ctx))
      }
      if (isForItself(ctx)) assertClientCredentials(ctx, client, api)
      const server = {
        audience: audiences[api],
        scope: scopes[api].join(' '),
        accessTokenFormat: 'jwt' as const,
        accessTokenTTL: accessTokenSeconds,
        jwt: { sign: { alg: 'ES256' as const } },
      }
      const noting = ctx.oidc.route === 'token' ? noteCertificate(client.clientId, certificateOf(ctx)) : undefined
      return noting === undefined ? server : noting.then(() => server)
    },
  }
}

/** MS 6.2: a server that is asked for data, about the tokens that are for it. To anyone else any token is unknown. */
export const mayIntrospect = (_ctx: KoaContextWithOIDC, client: Client, token: AccessToken | ClientCredentials | RefreshToken): boolean =>
  profileOf(client).introspection === 'allowed' && token.kind !== 'RefreshToken' && token.aud === client['audience']

const isForItself = ({ oidc }: KoaContextWithOIDC): boolean => oidc.params?.['grant_type'] === 'client_credentials'

const asksForGrants = ({ oidc }: KoaContextWithOIDC): boolean =>
  [...oidc.requestParamScopes].some((scope) => (scopes.grants as readonly string[]).includes(scope))

function assertClientCredentials(ctx: KoaContextWithOIDC, client: Client, api: keyof Audiences): void {
  if (api === 'bankApi') throw new errors.UnauthorizedClient('tokens without a customer are for third parties')
  const asked = [...ctx.oidc.requestParamScopes]
  const refused = asked.find((scope) => !scopesOfClientCredentials[api].includes(scope))
  if (refused !== undefined) throw new errors.InvalidScope('requested scope is not allowed without a customer', refused)
  // Who registered by statement manages its registration with a token that is for nothing else (UKDCR-15).
  if (asked.length === 0 && client['organisation'] === undefined)
    throw new errors.InvalidScope('scope must be accounts, payments or both', '')
}
