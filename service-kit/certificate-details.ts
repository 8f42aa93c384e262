import 'reflect-metadata' // First: @peculiar/x509 does not load without it.
import type { X509Certificate } from 'node:crypto'
import {
  CertificatePolicyExtension,
  X509Certificate as DecodedCertificate,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509'

/** What node:crypto does not tell of a certificate. */
export type CertificateDetails = {
  /** The values of a subject attribute by its OID, in order. */
  readonly subject: (oid: string) => readonly string[]
  readonly keyUsages: ReadonlySet<'digitalSignature' | 'nonRepudiation' | 'keyEncipherment' | 'keyCertSign'> | undefined
  readonly extendedKeyUsages: readonly string[]
  readonly policies: readonly string[]
  /** Subject alternative names of one kind, as the certificate writes them. */
  readonly alternativeNames: (kind: 'dns' | 'url' | 'ip' | 'email') => readonly string[]
  /** The DER inside an extension. */
  readonly extension: (oid: string) => Uint8Array | undefined
  /** `SHA-256`; undefined for what is not known, and for keys that need no other hash. */
  readonly signatureHash: string | undefined
}

const described = new WeakMap<X509Certificate, CertificateDetails>()

export function detailsOf(certificate: X509Certificate): CertificateDetails {
  const known = described.get(certificate) ?? decode(certificate)
  described.set(certificate, known)
  return known
}

function decode({ raw }: X509Certificate): CertificateDetails {
  const decoded = new DecodedCertificate(raw)
  const usages = decoded.getExtension(KeyUsagesExtension)?.usages
  const { hash } = decoded.signatureAlgorithm as { hash?: { name?: string } }
  return {
    subject: (oid) => decoded.subjectName.getField(oid),
    keyUsages: usages === undefined ? undefined : new Set(usageNames.filter((name) => (usages & KeyUsageFlags[name]) !== 0)),
    extendedKeyUsages: decoded.getExtension(ExtendedKeyUsageExtension)?.usages.map(String) ?? [],
    policies: [...(decoded.getExtension(CertificatePolicyExtension)?.policies ?? [])],
    alternativeNames: (kind) =>
      (decoded.getExtension(SubjectAlternativeNameExtension)?.names.items ?? []).flatMap(({ type, value }) =>
        type === kind ? [value] : [],
      ),
    extension: (oid) => {
      const found = decoded.getExtension(oid)
      return found === null ? undefined : new Uint8Array(found.value)
    },
    signatureHash: hash?.name,
  }
}

const usageNames = ['digitalSignature', 'nonRepudiation', 'keyEncipherment', 'keyCertSign'] as const
