import type { ClientCertificate } from '@bankside/service-kit/client-certificate'
import type { KoaContextWithOIDC } from 'oidc-provider'

/** Whether a client has just shown who it is with a certificate of its own that it registered. The library has no hook for it. */
export function isRegisteredCertificate({ oidc: { client } }: KoaContextWithOIDC, found: ClientCertificate | undefined): boolean {
  if (client?.clientAuthMethod !== 'self_signed_tls_client_auth' || found === undefined) return false
  const { asymmetricKeyStore: keys } = client as unknown as { readonly asymmetricKeyStore: Iterable<{ readonly 'x5t#S256'?: string }> }
  return [...keys].some(({ 'x5t#S256': thumbprint }) => thumbprint === found.thumbprint)
}
