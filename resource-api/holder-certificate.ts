import type { IncomingMessage } from 'node:http'
import { readTransportCertificate, type TransportCertificate } from '@bankside/bank/licences/transport-certificate'
import { type ClientCertificateOptions, clientCertificate } from '@bankside/service-kit/client-certificate'
import { Refusal, Unavailable } from '@bankside/service-kit/refusal'
import type { RevocationLists, RevocationStatus } from '@bankside/service-kit/revocation-lists'
import type { AccessTokenRefusal } from './request-refusal.ts'

/** The certificate that holds a connection. */
export type HolderCertificate = {
  readonly thumbprint: string
  /** Whose it is and for what, where an authority vouches for it. */
  readonly transport: TransportCertificate | undefined
}

/** Who was good by the last list is served a while when the next one is overdue (CERT-04). */
const servable: ReadonlySet<RevocationStatus> = new Set(['good', 'stale'])

/**
 * What is parsed is kept with the connection: a request costs a look at it, and at the revocation lists.
 *
 * @throws {Refusal|Unavailable} `token_invalid` for a certificate that was taken back, whatever the token is bound to.
 */
export function holderCertificate(options: ClientCertificateOptions & { readonly revocations: Pick<RevocationLists, 'status'> }) {
  return (request: IncomingMessage): HolderCertificate | undefined => {
    const presented = clientCertificate(request, options)
    // A token is bound to a self-signed certificate only by who registered it (RFC 8705 section 2.2).
    if (presented?.trusted !== true) return presented?.selfSigned ? { thumbprint: presented.thumbprint, transport: undefined } : undefined
    const status = options.revocations.status(presented.certificate)
    if (status === 'revoked') throw new Refusal<AccessTokenRefusal>('token_invalid', 'the certificate was revoked')
    if (!servable.has(status)) throw new Unavailable('it is not known now whether the certificate was revoked', { retryAfterSeconds: 60 })
    return { thumbprint: presented.thumbprint, transport: readTransportCertificate(presented.certificate) }
  }
}
