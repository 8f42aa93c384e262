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
import { profileOf } from '../client-policy/profiles.ts'
import type { Config } from '../config.ts'
import { isFirstParty } from '../storage/client-storage.ts'
import { assertLicensed } from './assert-licensed.ts'
import { accessTokenSeconds } from './lifetimes.ts'

export type Audiences = { readonly ukOpenBanking: string; readonly bankApi: string }

export const audiencesOf = (config: Config): Audiences => ({ ukOpenBanking: config.UK_AUDIENCE, bankApi: config.BANK_AUDIENCE })

/** Every scope, and the API it opens. `openid` is of both: who may know who the customer is, and how sure we are. */
export const scopes = {
  ukOpenBanking: ['openid', 'accounts', 'payments'],
  bankApi: ['openid', 'profile', 'accounts:read', 'transactions:read', 'payments:write', 'beneficiaries:read', 'beneficiaries:write'],
} as const satisfies Record<keyof Audiences, readonly string[]>

/** A third party acts for itself only to lodge consents and to ask after them. */
const scopesOfClientCredentials: ReadonlySet<string> = new Set(['accounts', 'payments'])

type CertificateOf = (ctx: KoaContextWithOIDC) => ClientCertificate | undefined

/** Tokens have one audience, and a client has one API: third parties the UK's, our own apps the bank's. */
export function createResourceServers(audiences: Audiences, certificateOf: CertificateOf) {
  const apiOf = (client: Client): keyof Audiences => (isFirstParty(client) ? 'bankApi' : 'ukOpenBanking')
  return {
    defaultResource: (_ctx: KoaContextWithOIDC, client: Client) => audiences[apiOf(client)],
    useGrantedResource: () => true,
    getResourceServerInfo(ctx: KoaContextWithOIDC, resource: string, client: Client): ResourceServer {
      const api = apiOf(client)
      if (resource !== audiences[api]) throw new errors.InvalidTarget()
      if (ctx.oidc.route === 'token' && !isFirstParty(client)) assertLicensed(ctx, client, certificateOf(ctx))
      if (ctx.oidc.params?.['grant_type'] === 'client_credentials') assertClientCredentials(ctx, client)
      return {
        audience: audiences[api],
        scope: scopes[api].join(' '),
        accessTokenFormat: 'jwt',
        accessTokenTTL: accessTokenSeconds,
        jwt: { sign: { alg: 'ES256' } },
      }
    },
  }
}

/** MS 6.2: a server that is asked for data, about the tokens that are for it. To anyone else any token is unknown. */
export const mayIntrospect = (_ctx: KoaContextWithOIDC, client: Client, token: AccessToken | ClientCredentials | RefreshToken): boolean =>
  profileOf(client).introspection === 'allowed' && token.kind !== 'RefreshToken' && token.aud === client['audience']

function assertClientCredentials(ctx: KoaContextWithOIDC, client: Client): void {
  if (isFirstParty(client)) throw new errors.UnauthorizedClient('tokens without a customer are for third parties')
  const asked = [...ctx.oidc.requestParamScopes]
  const refused = asked.find((scope) => !scopesOfClientCredentials.has(scope))
  if (refused !== undefined) throw new errors.InvalidScope('requested scope is not allowed without a customer', refused)
  // Who registered by statement manages its registration with a token that is for nothing else (UKDCR-15).
  if (asked.length === 0 && client['organisation'] === undefined)
    throw new errors.InvalidScope('scope must be accounts, payments or both', '')
}
