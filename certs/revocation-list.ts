import 'reflect-metadata' // First: @peculiar/x509 does not load without it.
import { webcrypto } from 'node:crypto'
import { PemConverter, X509Certificate, X509CrlGenerator } from '@peculiar/x509'
import type { Credential } from './authority.ts'

export type Revoked = { readonly serialNumber: string; readonly revokedAt: Date }

/** The certificates that an authority has taken back, as DER (RFC 5280 section 5). */
export async function issueRevocationList(
  authority: Credential,
  { revoked, now, nextUpdate }: { readonly revoked: readonly Revoked[]; readonly now: Date; readonly nextUpdate: Date },
): Promise<Buffer> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
  const signingKey = await webcrypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(authority.key), algorithm, false, ['sign'])
  const list = await X509CrlGenerator.create({
    issuer: new X509Certificate(authority.cert).subjectName,
    thisUpdate: now,
    nextUpdate,
    entries: revoked.map(({ serialNumber, revokedAt }) => ({ serialNumber, revocationDate: revokedAt })),
    signingAlgorithm: algorithm,
    signingKey,
  })
  return Buffer.from(list.rawData)
}
