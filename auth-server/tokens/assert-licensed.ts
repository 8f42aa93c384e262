import { isOfOrganisation, type Organisation } from '@bankside/bank/licences/organisation'
import { unlicensedScopes } from '@bankside/bank/licences/psp-roles'
import { rolesIn } from '@bankside/bank/licences/register-entry'
import { readTransportCertificate } from '@bankside/bank/licences/transport-certificate'
import type { ClientCertificate } from '@bankside/service-kit/client-certificate'
import { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider'

/**
 * A third party that comes with a certificate gets no token beyond what the certificate says that it is licensed for, whatever
 * it registered when it had another one (CERT-07); nor any token over the certificate of another organisation (CERT-06).
 *
 * @throws {InvalidScope|InvalidClientAuth}
 */
export function assertLicensed(ctx: KoaContextWithOIDC, client: Client, presented: ClientCertificate | undefined): void {
  if (presented?.trusted !== true) return
  const transport = readTransportCertificate(presented.certificate)
  const organisation = client['organisation'] as Organisation | undefined
  if (organisation !== undefined && !isOfOrganisation(transport, organisation))
    throw new errors.InvalidClientAuth('the certificate is of another organisation than the client')
  if (transport.isSeal) throw new errors.InvalidClientAuth('the certificate is for seals, not for connections')
  if (transport.licence === undefined) return
  const beyond = unlicensedScopes(askedScopes(ctx), transport.licence.roles)
  if (beyond.length > 0) throw new errors.InvalidScope('the certificate has no role for this scope', beyond.join(' '))
}

/**
 * Nobody asks for what its organisation's register does not have it for any more (CERT-08), whatever was registered.
 *
 * @throws {InvalidScope}
 */
export function assertInRegister(ctx: KoaContextWithOIDC, client: Client): void {
  const roles = rolesIn(client['licensed_roles'] as string[] | undefined)
  const beyond = roles === undefined ? [] : unlicensedScopes(askedScopes(ctx), roles)
  if (beyond.length > 0) throw new errors.InvalidScope('the register has no role for this scope', beyond.join(' '))
}

/**
 * What a client gave up by changing its registration it is not given tokens for, though a grant from before stands.
 *
 * @throws {InvalidScope}
 */
export function assertRegistered(ctx: KoaContextWithOIDC, client: Client): void {
  const registered = new Set(client.scope?.split(' '))
  const beyond = [...askedScopes(ctx)].filter((scope) => !registered.has(scope))
  if (beyond.length > 0) throw new errors.InvalidScope('the client is not registered for this scope', beyond.join(' '))
}

/** What the token would be for: as asked, or as the customer agreed. */
function askedScopes({ oidc }: KoaContextWithOIDC): Iterable<string> {
  const { AuthorizationCode, RefreshToken, BackchannelAuthenticationRequest } = oidc.entities
  const source = AuthorizationCode ?? RefreshToken ?? BackchannelAuthenticationRequest
  return source === undefined ? oidc.requestParamScopes : source.scopes
}
