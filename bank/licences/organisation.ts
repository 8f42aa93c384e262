import type { TransportCertificate } from './transport-certificate.ts'

/** `PSDGB-OB-…`: the number is the directory's own, so the directory's id in the common name says whose it is. */
export const isIssuedByDirectory = (authorityId: string): boolean => authorityId.endsWith('-OB')

/** An organisation as a directory and a register know it: what is kept of a statement, to compare certificates with later. */
export type Organisation = {
  readonly id: string
  readonly softwareId: string
  readonly register?: { readonly authorityId: string; readonly number: string } | undefined
}

/** CERT-06, CERT-12: in the register's words where the certificate has them, else in the directory's. */
export function isOfOrganisation(
  { organisation, commonName, unit }: TransportCertificate,
  { id, softwareId, register }: Organisation,
): boolean {
  // Certificates of the directory's own: the organisation is the unit, the software the common name.
  if (organisation === undefined) return unit === id && commonName === softwareId
  if (isIssuedByDirectory(organisation.authorityId)) return commonName === id
  return register?.number === organisation.number && register.authorityId === organisation.authorityId
}
