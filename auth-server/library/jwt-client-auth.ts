import type { JWTPayload } from 'jose'
import { InvalidClientAuth } from 'oidc-provider/lib/helpers/errors.js'
import * as jwt from 'oidc-provider/lib/helpers/jwt.js'
import instanceOf from 'oidc-provider/lib/helpers/weak_cache.js'
import type { KeyStore, LibraryContext } from 'oidc-provider/lib/shared/jwt_client_auth.js'

/**
 * As the library's, check by check, but for this: what is asked about claims and header gets those that this function read for itself,
 * not copies of them. To copy them costs as much as all these checks, and what is asked here (client-assertion.ts) changes nothing.
 */
async function jwtClientAuth(ctx: LibraryContext, keys: KeyStore, isAllowed: (alg: string) => boolean): Promise<void> {
  const { client, provider, params } = ctx.oidc
  const { configuration } = instanceOf(provider)
  const { clockTolerance, assertJwtClientAuthClaimsAndHeader } = configuration
  const assertion = params['client_assertion'] as string
  const audiences = ctx.oidc.clientJwtAuthExpectedAudience()
  const { header, payload } = decoded(assertion)

  const algorithms = client.clientAuthSigningAlg
    ? [client.clientAuthSigningAlg]
    : configuration.clientAuthSigningAlgValues.filter(isAllowed)
  if (!algorithms.includes(header['alg'] as string)) refuse('alg mismatch')
  const problem = problemOf(payload, client.clientId, audiences)
  if (problem !== undefined) refuse(problem)

  await jwt.verify(assertion, keys, { clockTolerance, ignoreAzp: true }).catch(refuseBecause)
  await assertJwtClientAuthClaimsAndHeader(ctx, payload, header, client)
  const { iss, jti, exp } = payload as Required<JWTPayload>
  const isUnique = await provider.ReplayDetection.unique(iss, jti, exp + clockTolerance)
  if (!isUnique) refuse('client assertion tokens must only be used once')
}

function decoded(assertion: string): jwt.Decoded {
  try {
    return jwt.decode(assertion)
  } catch (cause) {
    return refuseBecause(cause)
  }
}

function problemOf({ exp, jti, iss, aud }: JWTPayload, clientId: string, audiences: ReadonlySet<unknown>): string | undefined {
  if (!exp) return 'expiration must be specified in the client_assertion JWT'
  if (!jti) return 'unique jti (JWT ID) must be provided in the client_assertion JWT'
  if (!iss) return 'iss (JWT issuer) must be provided in the client_assertion JWT'
  if (iss !== clientId) return 'iss (JWT issuer) must be the client_id'
  if (!aud) return 'aud (JWT audience) must be provided in the client_assertion JWT'
  if (!Array.isArray(aud))
    return audiences.has(aud) ? undefined : 'audience (aud) must equal the endpoint url, issuer identifier or token endpoint url'
  const isAmong = aud.some((one) => audiences.has(one))
  return isAmong ? undefined : 'list of audience (aud) must include the endpoint url, issuer identifier or token endpoint url'
}

function refuse(detail: string): never {
  throw new InvalidClientAuth(detail)
}

function refuseBecause(cause: unknown): never {
  throw new InvalidClientAuth({ cause })
}

// What imports it is the library.
export { jwtClientAuth as default }
