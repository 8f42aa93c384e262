import { createHash, X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { detailsOf } from './certificate-details.ts'
import { peerAddress } from './client-address.ts'
import { type Clock, systemClock } from './clock.ts'
import { leastRecentlyUsed } from './least-recently-used.ts'

export type ClientCertificate = {
  readonly certificate: X509Certificate
  /** `x5t#S256` of RFC 8705: SHA-256 of the DER, base64url. */
  readonly thumbprint: string
  /** It chains to the configured authority, is within its dates, is for TLS clients, and neither key nor signature is a weak one. */
  readonly trusted: boolean
  /** It is as good as that, but signed with its own key only, which says nothing about whose it is: for who registered it. */
  readonly selfSigned: boolean
}

export type ClientCertificateOptions = {
  /** Only from these does a `Client-Cert` header count, and from these nothing else does. */
  readonly trustedProxyAddresses: readonly string[]
  /** PEM, one or more authorities. */
  readonly clientCa: string
  readonly clock?: Clock
}

/**
 * The certificate with whose key the client of this request holds the connection. Does NOT check revocation, nor which
 * client it belongs to.
 *
 * Behind a proxy that terminates TLS it is in the header of RFC 9440, which is read only on connections from a configured
 * address, and only if the certificate is trusted or self-signed. From anybody else the header is ignored: it could be forged.
 */
export function clientCertificate(request: IncomingMessage, options: ClientCertificateOptions): ClientCertificate | undefined {
  if (options.trustedProxyAddresses.includes(peerAddress(request))) return fromHeader(request, options)
  return fromSocket(request.socket, options)
}

const ofSocket = new WeakMap<Socket, { readonly found: ClientCertificate | undefined }>()

/** Parsing costs more than most requests, and a connection has one certificate for its life: renegotiation is off. */
function fromSocket(socket: Socket, { clock = systemClock }: ClientCertificateOptions): ClientCertificate | undefined {
  const known = ofSocket.get(socket)
  if (known !== undefined) return known.found
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  const found = certificate && {
    certificate,
    thumbprint: thumbprintOf(certificate),
    trusted: (socket as TLSSocket).authorized && isFit(certificate),
    selfSigned: isSelfSigned(certificate, clock.now()),
  }
  ofSocket.set(socket, { found })
  return found
}

const certificateLengthAtMost = 8_192
type Parsed = { readonly certificate: X509Certificate; readonly thumbprint: string }
/** A proxy sends the same few with every request. What is kept is what they say and who signed them; their dates are looked at each time. */
const knownHeaders = leastRecentlyUsed<string, Parsed>(1_000)
const signers = new WeakMap<X509Certificate, WeakMap<X509Certificate, boolean>>()

/** Whether the key of the one signed the other: that stays so. */
function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  const known = signers.get(certificate) ?? new WeakMap<X509Certificate, boolean>()
  signers.set(certificate, known)
  const found = known.get(issuer) ?? certificate.verify(issuer.publicKey)
  known.set(issuer, found)
  return found
}
const clientAuthentication = '1.3.6.1.5.5.7.3.2'

function fromHeader(request: IncomingMessage, options: ClientCertificateOptions): ClientCertificate | undefined {
  const { 'client-cert': header } = request.headers
  if (typeof header !== 'string' || header.length > certificateLengthAtMost) return undefined
  const parsed = knownHeaders.get(header) ?? parseClientCert(header)
  if (parsed === undefined) return undefined
  knownHeaders.set(header, parsed)
  const { certificate, thumbprint } = parsed
  const found = {
    certificate,
    thumbprint,
    trusted: isTrusted(certificate, options),
    selfSigned: isSelfSigned(certificate, (options.clock ?? systemClock).now()),
  }
  return found.trusted || found.selfSigned ? found : undefined
}

/** RFC 9440 section 2.2: one byte sequence of RFC 8941, `:base64 of the DER:`. A header sent twice is not one. */
function parseClientCert(header: string): Parsed | undefined {
  const [, encoded] = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(header.trim()) ?? []
  if (encoded === undefined) return undefined
  try {
    const certificate = new X509Certificate(Buffer.from(encoded, 'base64'))
    return { certificate, thumbprint: thumbprintOf(certificate) }
  } catch {
    return undefined
  }
}

function isTrusted(certificate: X509Certificate, { clientCa, clock = systemClock }: ClientCertificateOptions): boolean {
  return !certificate.ca && isFit(certificate) && chains(certificate, authorities(clientCa), clock.now())
}

const minRsaBits = 2_048
const curves: ReadonlySet<unknown> = new Set(['prime256v1', 'secp384r1', 'secp521r1'])
const hashes: ReadonlySet<unknown> = new Set(['SHA-256', 'SHA-384', 'SHA-512'])

/** For TLS clients and nothing looser (CERT-05), keys and signatures of at least 112 bits of strength (CERT-03). */
function isFit(certificate: X509Certificate): boolean {
  if (certificate.keyUsage?.includes(clientAuthentication) !== true) return false
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = certificate.publicKey
  const isStrong =
    type === 'ed25519' || (type === 'ec' ? curves.has(details?.namedCurve) : type === 'rsa' && (details?.modulusLength ?? 0) >= minRsaBits)
  return isStrong && isSignedWithStrongHash(certificate)
}

/** Most names of signature algorithms tell the hash; that of RSA-PSS has it in its parameters. */
function isSignedWithStrongHash(certificate: X509Certificate): boolean {
  const { signatureAlgorithm = '' } = certificate
  if (/sha-?(256|384|512)|ed25519/i.test(signatureAlgorithm)) return true
  return /pss/i.test(signatureAlgorithm) && hashes.has(detailsOf(certificate).signatureHash)
}

function isSelfSigned(certificate: X509Certificate, now: Date): boolean {
  const own = certificate.subject === certificate.issuer && isSignedBy(certificate, certificate)
  return own && !certificate.ca && isFit(certificate) && isCurrent(certificate, now)
}

const isCurrent = ({ validFromDate, validToDate }: X509Certificate, now: Date): boolean => validFromDate <= now && now <= validToDate

const intermediatesAtMost = 4

/** Up to a self-signed authority of the file, through others of the file. */
function chains(certificate: X509Certificate, trusted: readonly X509Certificate[], now: Date, depth = 0): boolean {
  if (!isCurrent(certificate, now) || depth > intermediatesAtMost) return false
  const issuer = trusted.find((candidate) => candidate.ca && certificate.checkIssued(candidate) && isSignedBy(certificate, candidate))
  if (issuer === undefined) return false
  return issuer.checkIssued(issuer) ? isCurrent(issuer, now) : chains(issuer, trusted, now, depth + 1)
}

const parsedAuthorities = new Map<string, readonly X509Certificate[]>()

function authorities(pem: string): readonly X509Certificate[] {
  const known = parsedAuthorities.get(pem)
  if (known !== undefined) return known
  const parsed = (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((block) => new X509Certificate(block))
  parsedAuthorities.set(pem, parsed)
  return parsed
}

export function thumbprintOf(certificate: X509Certificate): string {
  return createHash('sha256').update(certificate.raw).digest('base64url')
}
