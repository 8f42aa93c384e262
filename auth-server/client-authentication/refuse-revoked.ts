import { clientCertificate } from '@bankside/service-kit/client-certificate'
import type { Clock } from '@bankside/service-kit/clock'
import type { Config } from '../config.ts'
import type { Context, Next } from '../http/request-context.ts'
import type { Published } from '../published/open-published.ts'

export type RevocationTrust = { readonly config: Config; readonly published: Published; readonly clock: Clock }

/**
 * Nobody connects with a certificate that its authority has taken back, whatever the request (CERT-04). While the authority
 * does not say, those who were good by its last list go on, for as long as the bank lets them.
 */
export function refuseRevoked({ config, published, clock }: RevocationTrust) {
  const { TRUSTED_PROXY_ADDRESSES: trustedProxyAddresses, CLIENT_CA: clientCa } = config
  return async (ctx: Context, next: Next): Promise<void> => {
    const found = clientCertificate(ctx.req, { trustedProxyAddresses, clientCa, clock })
    if (found?.trusted !== true) return next()
    const status = published.revocations.status(found.certificate)
    if (status === 'good' || status === 'stale') return next()
    ctx.state.log.info({ serial_number: found.certificate.serialNumber, status }, 'a certificate was refused')
    ctx.status = 401
    ctx.body = {
      error: 'invalid_client',
      error_description: `the certificate is ${status === 'revoked' ? 'revoked' : 'not known to be good'}`,
    }
  }
}
