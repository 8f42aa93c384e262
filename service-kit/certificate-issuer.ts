import { X509Certificate } from 'node:crypto'

/** Which of these authorities (PEM) issued a certificate, found once for each. */
export function issuerAmong(pem: string): { readonly authorities: readonly X509Certificate[]; readonly issuerOf: IssuerOf } {
  const authorities = (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map(
    (block) => new X509Certificate(block),
  )
  const known = new WeakMap<X509Certificate, X509Certificate | 'none'>()
  return {
    authorities,
    issuerOf(certificate) {
      const found = known.get(certificate) ?? authorities.find((issuer) => isIssuedBy(certificate, issuer)) ?? 'none'
      known.set(certificate, found)
      return found === 'none' ? undefined : found
    },
  }
}

export type IssuerOf = (certificate: X509Certificate) => X509Certificate | undefined

export const isIssuedBy = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
