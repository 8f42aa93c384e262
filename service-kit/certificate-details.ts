import 'reflect-metadata' // First: @peculiar/x509 does not load without it.
import type { X509Certificate } from 'node:crypto'
import {
  AuthorityInfoAccessExtension,
  CertificatePolicyExtension,
  X509Certificate as DecodedCertificate,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509'
import { leastRecentlyUsed } from './least-recently-used.ts'

/** What node:crypto does not tell of a certificate. */
export type CertificateDetails = {
  /** The values of a subject attribute, in order. */
  readonly subject: Readonly<Record<SubjectAttribute, readonly string[]>>
  readonly keyUsages: ReadonlySet<(typeof usageNames)[number]> | undefined
  readonly policies: readonly string[]
  /** Subject alternative names of one kind, as the certificate writes them. */
  readonly alternativeNames: Readonly<Record<AlternativeName, readonly string[]>>
  /** The DER inside an extension, by its OID. */
  readonly extensions: ReadonlyMap<string, Uint8Array>
  /** `SHA-256`; undefined for what is not known, and for keys that need no other hash. */
  readonly signatureHash: string | undefined
  /** Where its authority answers whether it was revoked. */
  readonly ocspResponders: readonly string[]
}

const subjectAttributes = { commonName: '2.5.4.3', organisation: '2.5.4.10', unit: '2.5.4.11', organisationIdentifier: '2.5.4.97' } as const
type SubjectAttribute = keyof typeof subjectAttributes
type AlternativeName = 'dns' | 'url' | 'ip' | 'email'
const usageNames = ['digitalSignature', 'nonRepudiation', 'keyEncipherment', 'keyCertSign'] as const

/** Decoding takes milliseconds, and the same certificates come with one connection after another. */
const rememberedAtMost = 5_000
const remembered = leastRecentlyUsed<string, CertificateDetails>(rememberedAtMost)

export function detailsOf(certificate: X509Certificate): CertificateDetails {
  const { fingerprint256 } = certificate
  const known = remembered.get(fingerprint256)
  if (known !== undefined) return known
  const details = decode(certificate)
  remembered.set(fingerprint256, details)
  return details
}

/** Plain data: what was decoded is a hundred times as large. */
function decode({ raw }: X509Certificate): CertificateDetails {
  const decoded = new DecodedCertificate(raw)
  const usages = decoded.getExtension(KeyUsagesExtension)?.usages
  const names = decoded.getExtension(SubjectAlternativeNameExtension)?.names.items ?? []
  const { hash } = decoded.signatureAlgorithm as { hash?: { name?: string } }
  return {
    subject: mapped(subjectAttributes, (oid) => [...decoded.subjectName.getField(oid)]),
    keyUsages: usages === undefined ? undefined : new Set(usageNames.filter((name) => (usages & KeyUsageFlags[name]) !== 0)),
    policies: [...(decoded.getExtension(CertificatePolicyExtension)?.policies ?? [])],
    alternativeNames: mapped({ dns: 'dns', url: 'url', ip: 'ip', email: 'email' }, (kind) =>
      names.flatMap(({ type, value }) => (type === kind ? [value] : [])),
    ),
    extensions: new Map(decoded.extensions.map(({ type, value }) => [type, Uint8Array.from(new Uint8Array(value))])),
    signatureHash: hash?.name,
    ocspResponders: (decoded.getExtension(AuthorityInfoAccessExtension)?.ocsp ?? []).flatMap(({ type, value }) =>
      type === 'url' ? [value] : [],
    ),
  }
}

const mapped = <Key extends string, From, To>(record: Readonly<Record<Key, From>>, to: (value: From) => To): Record<Key, To> =>
  Object.fromEntries(Object.entries<From>(record).map(([key, value]) => [key, to(value)])) as Record<Key, To>
