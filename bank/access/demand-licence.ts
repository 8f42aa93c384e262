import { isOfOrganisation, type Organisation } from '../licences/organisation.ts'
import { unlicensedScopes } from '../licences/psp-roles.ts'
import type { TransportCertificate } from '../licences/transport-certificate.ts'
import { refuseAccess } from './access-refusal.ts'
import type { TokenStanding } from './standing.ts'

/**
 * Who holds the connection with a certificate is the client's own organisation, and licensed for what the token is used for
 * (CERT-06, CERT-07): whatever the token says, and whatever certificate it was issued over.
 *
 * @throws {AccessRefusal} `certificate_not_yours`, `licence_missing`.
 */
export function demandLicence(certificate: TransportCertificate, client: NonNullable<TokenStanding['client']>, scope: string): void {
  if (certificate.isSeal) refuseAccess('certificate_not_yours', 'the certificate is for seals, not for connections')
  const organisation = client.organisation === undefined ? undefined : (JSON.parse(client.organisation) as Organisation)
  if (organisation !== undefined && !isOfOrganisation(certificate, organisation))
    refuseAccess('certificate_not_yours', 'the certificate is of another organisation than the client')
  if (certificate.licence !== undefined && unlicensedScopes([scope], certificate.licence.roles).length > 0)
    refuseAccess('licence_missing', `the certificate has no role for ${scope}`)
}
