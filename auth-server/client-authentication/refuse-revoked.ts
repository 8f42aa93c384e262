import { type ClientCertificate, clientCertificate } from '@bankside/service-kit/client-certificate'
import type { Clock } from '@bankside/service-kit/clock'
import type { Config } from '../config.ts'
import type { Context, Next } from '../http/request-context.ts'
import type { Published } from '../published/open-published.ts'

export type RevocationTrust = { readonly config: Config; readonly published: Published; readonly clock: Clock }

const answers = {
  revoked: { answer: 401, error: 'invalid_client', error_description: 'the certificate was revoked' },
  unknown: { answer: 503, error: 'temporarily_unavailable', error_description: 'it is not known now whether the certificate was revoked' },
} as const

/**
 * Nobody connects with a certificate that its authority has taken back, whatever the request (CERT-04). While the authority
 * does not say, those who were good by its last list go on, for as long as the bank lets them.
 */
export function refuseRevoked({ config, published, clock }: RevocationTrust) {
  const { TRUSTED_PROXY_ADDRESSES: trustedProxyAddresses, CLIENT_CA: clientCa } = config
  return (ctx: Context, next: Next): Promise<void> => {
    const found = clientCertificate(ctx.req, { trustedProxyAddresses, clientCa, clock })
    return found?.trusted === true ? refuse(ctx, next, found) : next()
  }
  async function refuse(ctx: Context, next: Next, found: ClientCertificate): Promise<void> {
    const asked = published.revocations.status(found.certificate)
    const status = asked instanceof Promise ? await asked : asked
    if (status === 'good' || status === 'stale') return next()
    ctx.state.log.info({ serial_number: found.certificate.serialNumber, status }, 'a certificate was refused')
    const { answer, ...body } = answers[status]
    ctx.status = answer
    if (answer === 503) ctx.set('Retry-After', '60')
    ctx.body = body
  }
}
