import 'reflect-metadata' // First: @peculiar/x509 does not load without it.
import { X509Certificate } from 'node:crypto'
import { X509Certificate as DecodedCertificate } from '@peculiar/x509'
import { calculateJwkThumbprint, type JWK } from 'jose'

/** A certificate that a client brings, as PEM; undefined for what is none. */
export function parseCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined // The caller says which file it was.
  }
}

/** Whether our listeners will trust it: signed by the authority, within its dates, not an authority itself. Not whether it is revoked. */
export function isIssuedBy(certificate: X509Certificate, authorityPem: string, now: Date): boolean {
  const authority = new X509Certificate(authorityPem)
  const isCurrent = certificate.validFromDate <= now && now <= certificate.validToDate
  return isCurrent && !certificate.ca && certificate.checkIssued(authority) && certificate.verify(authority.publicKey)
}

/** The subject as text, in the order in which the certificate holds it: good for `tls_client_auth_subject_dn`. */
export function subjectText(certificate: X509Certificate): string {
  return new DecodedCertificate(certificate.raw).subjectName.toString()
}

/** The public key of a certificate with the certificate itself: how a client registers a self-signed one (RFC 8705 section 2.2.2). */
export async function certificateKey(certificate: X509Certificate): Promise<JWK> {
  const key = certificate.publicKey.export({ format: 'jwk' }) as JWK
  return { ...key, kid: await calculateJwkThumbprint(key, 'sha384'), use: 'sig', x5c: [certificate.raw.toString('base64')] }
}
