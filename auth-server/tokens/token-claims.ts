import { getProfile } from '@bankside/bank/customers/get-profile'
import { type ConsentId, type CustomerId, isConsentId } from '@bankside/bank/ids'
import { type Database, transact } from '@bankside/service-kit/postgres'
import type { AccessToken, Account, ClientCredentials, Grant, KoaContextWithOIDC, RefreshToken } from 'oidc-provider'
import { protocolErrors } from '../protocol-errors.ts'
import { isEndless } from './lifetimes.ts'

export const refreshTokenExpiresAt = 'http://openbanking.org.uk/refresh_token_expires_at'

/** What the customer agreed to, as the grant remembers it: one detail that names the consent, or none (a first-party app). */
export function consentIdOf(grant: Grant | undefined): ConsentId | undefined {
  const id = grant?.rar?.[0]?.['consent_id']
  return isConsentId(id) ? id : undefined
}

/** Beside the claims of RFC 9068: the grant and the consent, which the resource API reads with every call, and how sure we were of whom. */
export function extraTokenClaims(ctx: KoaContextWithOIDC, token: AccessToken | ClientCredentials): Record<string, unknown> {
  if (token.kind !== 'AccessToken') return {}
  const { AuthorizationCode, BackchannelAuthenticationRequest, RefreshToken, Grant } = ctx.oidc.entities
  const source = AuthorizationCode ?? BackchannelAuthenticationRequest ?? RefreshToken
  const consentId = consentIdOf(Grant)
  return {
    grant_id: (token as AccessToken).grantId,
    ...(consentId !== undefined && { consent_id: consentId }),
    ...(source?.acr !== undefined && { acr: source.acr }),
    ...(source?.authTime !== undefined && { auth_time: source.authTime }),
  }
}

/**
 * ID-token claims. A name is read only for our own apps, whose scope `profile` or parameter `claims` asks for it: a third party's
 * scopes cannot, and its grant rejects the claim. It never goes through the browser (FAPI1A-08): there an ID token is a signature
 * on the response.
 */
export function createFindAccount(database: Database) {
  return (ctx: KoaContextWithOIDC, customerId: string): Account => ({
    accountId: customerId,
    async claims(_use, scope, claims, rejected) {
      const { Grant, RefreshToken } = ctx.oidc.entities
      const frontChannel = ctx.oidc.route === 'authorization' || ctx.oidc.route === 'resume'
      const asksForName = scope.split(' ').includes('profile') || ('name' in claims && !rejected.includes('name'))
      const names =
        !frontChannel && asksForName
          ? await protocolErrors(transact(database, (tx) => getProfile(tx, customerId as CustomerId)))
          : undefined
      return {
        sub: customerId,
        ...(names && { name: names.fullName }),
        openbanking_intent_id: consentIdOf(Grant),
        ...refreshTokenEnd(RefreshToken, Grant),
      }
    },
  })
}

/** RW-TOK-02: told to third parties, whose rules define the claim, and only when there is an end. A refresh token ends with its grant. */
function refreshTokenEnd(refreshToken: RefreshToken | undefined, grant: Grant | undefined): Record<string, unknown> {
  if (refreshToken === undefined || grant?.exp === undefined || isEndless(grant.exp - grant.iat)) return {}
  if (consentIdOf(grant) === undefined) return {}
  return { [refreshTokenExpiresAt]: grant.exp }
}
