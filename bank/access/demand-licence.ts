import { isOfOrganisation, type Organisation } from '../licences/organisation.ts'
import { unlicensedScopes } from '../licences/psp-roles.ts'
import { rolesIn } from '../licences/register-entry.ts'
import type { TransportCertificate } from '../licences/transport-certificate.ts'
import { refuseAccess } from './access-refusal.ts'
import type { TokenStanding } from './standing.ts'

/**
 * The client is licensed for what the token is used for: as its register says now (CERT-08), and as the certificate that holds
 * the connection says, which must be its own organisation's (CERT-06, CERT-07). Whatever the token says, and whatever it was
 * issued over.
 *
 * @throws {AccessRefusal} `certificate_not_yours`, `licence_missing`.
 */
export function demandLicence(
  certificate: TransportCertificate | undefined,
  client: NonNullable<TokenStanding['client']>,
  scope: string,
): void {
  const registered = rolesIn(client.licensedRoles)
  if (registered !== undefined && unlicensedScopes([scope], registered).length > 0)
    refuseAccess('licence_missing', `the register has no role for ${scope}`)
  if (certificate === undefined) return
  if (certificate.isSeal) refuseAccess('certificate_not_yours', 'the certificate is for seals, not for connections')
  const organisation = client.organisation === undefined ? undefined : (JSON.parse(client.organisation) as Organisation)
  if (organisation !== undefined && !isOfOrganisation(certificate, organisation))
    refuseAccess('certificate_not_yours', 'the certificate is of another organisation than the client')
  if (certificate.licence !== undefined && unlicensedScopes([scope], certificate.licence.roles).length > 0)
    refuseAccess('licence_missing', `the certificate has no role for ${scope}`)
}
