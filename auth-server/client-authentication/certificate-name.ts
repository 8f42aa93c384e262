import type { X509Certificate } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { detailsOf } from '@bankside/service-kit/certificate-details'
import { isSubjectOf } from './distinguished-name.ts'

type Matches = (certificate: X509Certificate, registered: string) => boolean

/** RFC 8705 section 2.1.2: the five ways to say which certificate is a client's, each compared as what it is. */
const names: Readonly<Record<string, Matches>> = {
  tls_client_auth_subject_dn: isSubjectOf,
  tls_client_auth_san_dns: alternative('dns', (name) => name.toLowerCase()),
  tls_client_auth_san_uri: alternative('url', (uri) => uri),
  tls_client_auth_san_ip: alternative('ip', canonicalAddress),
  // The host of a mailbox has no case, its name may have (RFC 5280 section 7.5).
  tls_client_auth_san_email: alternative('email', (mailbox) => mailbox.replace(/@.*$/, (host) => host.toLowerCase())),
}

/** Whether a certificate bears the name that was registered. One that has others too is as good: it is whoever holds its key. */
export const isNamed = (certificate: X509Certificate, property: string, registered: string): boolean =>
  names[property]?.(certificate, registered) === true

function alternative(kind: 'dns' | 'url' | 'ip' | 'email', canonical: (name: string) => string): Matches {
  return (certificate, registered) =>
    detailsOf(certificate).alternativeNames[kind].some((name) => canonical(name) === canonical(registered))
}

function canonicalAddress(address: string): string {
  return isIPv6(address) ? (URL.parse(`https://[${address}]`)?.hostname ?? address) : address
}
