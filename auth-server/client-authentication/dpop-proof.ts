import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { allOfProfiles, profileOf } from '../client-policy/profiles.ts'
import { decodeJwt } from '../signatures/remembered-jose.ts'

/** At the userinfo endpoint the client is known by its token, which comes later. */
const smallestSkewSeconds = Math.min(...allOfProfiles(({ clockSkewSeconds }) => [clockSkewSeconds]))

/**
 * The library accepts a proof dated up to five minutes ahead; FAPI2-AS-13 draws the line at a minute. This runs before the
 * library verifies the proof, so it only refuses: whatever cannot be read is left to it.
 *
 * @throws {InvalidDpopProof}
 */
export function assertProofNotFromTheFuture(ctx: KoaContextWithOIDC, nowSeconds: number): void {
  const issuedAt = readIssuedAt(ctx.get('DPoP'))
  const { client } = ctx.oidc
  const clockSkewSeconds = client === undefined ? smallestSkewSeconds : profileOf(client).clockSkewSeconds
  if (issuedAt !== undefined && issuedAt > nowSeconds + clockSkewSeconds)
    throw new errors.InvalidDpopProof('DPoP proof iat lies in the future')
}

function readIssuedAt(proof: string): number | undefined {
  try {
    const { iat } = decodeJwt(proof)
    return typeof iat === 'number' ? iat : undefined
  } catch {
    return undefined
  }
}
