import type { IncomingMessage } from 'node:http'
import { readTransportCertificate, type TransportCertificate } from '@bankside/bank/licences/transport-certificate'
import { type ClientCertificate, type ClientCertificateOptions, clientCertificate } from '@bankside/service-kit/client-certificate'
import { Refusal } from '@bankside/service-kit/refusal'
import type { Revocation } from '@bankside/service-kit/revocation'
import type { RevocationStatus } from '@bankside/service-kit/revocation-lists'
import type { AccessTokenRefusal } from './request-refusal.ts'

/** The certificate that holds a connection. */
export type HolderCertificate = {
  readonly thumbprint: string
  /** Whose it is and for what, where an authority vouches for it. */
  readonly transport: TransportCertificate | undefined
  /** Who was good by the last word of the authority is served a while when the next is overdue (CERT-04); `unknown` holds no token. */
  readonly revocation: 'good' | 'stale' | 'unknown'
}

/**
 * What is parsed is kept with the connection: a request costs a look at it, and at what is known of its revocation.
 *
 * @throws {Refusal} `token_invalid` for a certificate that was taken back, whatever the token is bound to.
 */
export function holderCertificate(options: ClientCertificateOptions & { readonly revocations: Pick<Revocation, 'status'> }) {
  return (request: IncomingMessage): HolderCertificate | undefined | Promise<HolderCertificate> => {
    const presented = clientCertificate(request, options)
    // A token is bound to a self-signed certificate only by who registered it (RFC 8705 section 2.2).
    if (presented?.trusted !== true)
      return presented?.selfSigned ? { thumbprint: presented.thumbprint, transport: undefined, revocation: 'good' } : undefined
    const status = options.revocations.status(presented.certificate)
    return status instanceof Promise ? status.then((found) => holder(presented, found)) : holder(presented, status)
  }
}

function holder({ thumbprint, certificate }: ClientCertificate, revocation: RevocationStatus): HolderCertificate {
  if (revocation === 'revoked') throw new Refusal<AccessTokenRefusal>('token_invalid', 'the certificate was revoked')
  return { thumbprint, transport: readTransportCertificate(certificate), revocation }
}
