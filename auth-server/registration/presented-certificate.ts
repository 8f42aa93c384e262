import type { X509Certificate } from 'node:crypto'
import { readTransportCertificate, type TransportCertificate } from '@bankside/bank/licences/transport-certificate'
import { clientCertificate } from '@bankside/service-kit/client-certificate'
import type { Clock } from '@bankside/service-kit/clock'
import type { Config } from '../config.ts'
import type { Context } from '../http/request-context.ts'
import type { Published } from '../published/open-published.ts'
import { assertOfThirdParty } from './belongs-together.ts'
import { isTestEnvironment } from './directory.ts'
import { refuseRegistration } from './registration-refusal.ts'

/** The certificate of this connection: trusted, not revoked, and one that third parties have. */
export type PresentedCertificate = {
  readonly certificate: X509Certificate
  readonly thumbprint: string
  readonly transport: TransportCertificate
}

export type CertificateTrust = { readonly config: Config; readonly published: Published; readonly clock: Clock }

/**
 * Whether it was revoked was found out before (`refuseRevoked`).
 *
 * @param forNew Whether somebody is let in who was not known: then it must be certain that the certificate was not taken back
 *   (CERT-04, hard-fail). Who is known is served a while by the last list that there was.
 * @throws {Refusal} `invalid_client`, `temporarily_unavailable`.
 */
export function requireCertificate(ctx: Context, trust: CertificateTrust, { forNew }: { readonly forNew: boolean }): PresentedCertificate {
  const { config, published, clock } = trust
  const { TRUSTED_PROXY_ADDRESSES: trustedProxyAddresses, CLIENT_CA: clientCa } = config
  const found = clientCertificate(ctx.req, { trustedProxyAddresses, clientCa, clock })
  if (found?.trusted !== true) return refuseRegistration('invalid_client', 'a certificate of a trusted authority is needed')
  const status = published.revocations.known(found.certificate)
  if (status === 'revoked') refuseRegistration('invalid_client', 'the certificate was revoked')
  if (status === 'unknown' || (forNew && status === 'stale'))
    refuseRegistration('temporarily_unavailable', 'it is not known now whether the certificate was revoked')
  const transport = readTransportCertificate(found.certificate)
  assertOfThirdParty(transport, { test: isTestEnvironment(config.DIRECTORIES) })
  return { certificate: found.certificate, thumbprint: found.thumbprint, transport }
}

/** What is kept on record of it (CERT-13). */
export const evidenceOf = ({ transport }: PresentedCertificate): Readonly<Record<string, unknown>> => ({
  certificate: {
    serialNumber: transport.serialNumber,
    issuer: transport.issuer,
    organisation: transport.organisation?.text ?? transport.unit,
    roles: [...(transport.licence?.roles ?? [])],
  },
})
