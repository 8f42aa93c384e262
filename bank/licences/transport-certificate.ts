import type { X509Certificate } from 'node:crypto'
import { type CertificateDetails, detailsOf } from '@bankside/service-kit/certificate-details'
import { onceForEach } from '@bankside/service-kit/remembered'
import { type OrganisationIdentifier, parseOrganisationIdentifier } from './organisation-identifier.ts'
import { type Licence, type QualifiedStatements, readQualifiedStatements } from './read-licence.ts'

/** Whose a transport certificate is, and for what its holder is licensed. It says nothing of whether the certificate is trusted. */
export type TransportCertificate = {
  /** As the register of a competent authority has its holder; undefined where the certificate names none. */
  readonly organisation: OrganisationIdentifier | undefined
  /** Whether it names an organisation in a form that no register has. */
  readonly misnamed: boolean
  /** What a directory calls its holder (common name), or its software with the holder as unit. */
  readonly commonName: string | undefined
  readonly unit: string | undefined
  /** Undefined where the certificate has no licence statement. */
  readonly licence: Licence | undefined
  readonly isSeal: boolean
  readonly policies: readonly string[]
  readonly serialNumber: string
  readonly issuer: string
}

const qualifiedStatements = '1.3.6.1.5.5.7.1.3'

/** With the certificate as a connection has it, which it has for its life: a hash of it for each request would cost more than all the rest. */
export const readTransportCertificate = onceForEach(
  (certificate: X509Certificate): TransportCertificate => decode(certificate, detailsOf(certificate)),
)

function decode(certificate: X509Certificate, details: CertificateDetails): TransportCertificate {
  const named = details.subject.organisationIdentifier
  const organisation = named.length === 1 ? parseOrganisationIdentifier(named[0] ?? '') : undefined
  const der = details.extensions.get(qualifiedStatements)
  const statements = der && readQualifiedStatements(der)
  return {
    organisation,
    misnamed: (named.length > 0 && organisation === undefined) || (der !== undefined && statements === undefined),
    commonName: onlyOf(details.subject.commonName),
    unit: onlyOf(details.subject.unit),
    licence: statements?.licence,
    isSeal: isForSeals(statements, details.keyUsages),
    policies: details.policies,
    serialNumber: certificate.serialNumber,
    issuer: certificate.issuer.replaceAll('\n', ', '),
  }
}

/** CERT-05: what signs documents does not open connections. */
const isForSeals = (statements: QualifiedStatements | undefined, keyUsages: ReadonlySet<string> | undefined): boolean =>
  statements?.use === 'seal' || statements?.use === 'signature' || keyUsages?.has('nonRepudiation') === true

const onlyOf = (values: readonly string[]): string | undefined => (values.length === 1 ? values[0] : undefined)
