import { createHash } from 'node:crypto'
import { clientCertificate } from '@bankside/service-kit/client-certificate'
import type { Clock } from '@bankside/service-kit/clock'
import { calculateJwkThumbprint, decodeJwt, EmbeddedJWK, jwtVerify } from 'jose'
import type { ClientCredentials, Provider } from 'oidc-provider'
import type { Config } from '../config.ts'
import type { Context } from '../http/request-context.ts'

/** RFC 6750 section 3.1, RFC 9449 section 7.1. Without an error code, nothing was presented. */
export class TokenRefusal extends Error {
  override name = 'TokenRefusal'
  readonly code: 'invalid_token' | 'invalid_dpop_proof' | undefined

  constructor(code: TokenRefusal['code'], message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.code = code
  }
}

export const proofAlgorithms = ['ES256', 'PS256', 'EdDSA', 'Ed25519']
const proofMaxAgeSeconds = 60
const proofMaxFutureSeconds = 10
const lengthAtMost = 4_096

type Needs = { readonly provider: Provider; readonly config: Config; readonly clock: Clock }

/**
 * The token of a client that acts for itself, as it stands now, for exactly this audience, presented by whoever holds the key
 * or certificate that it was issued to.
 *
 * @param origin Of the listener that was asked: what `htu` of a proof begins with.
 * @throws {TokenRefusal}
 */
export async function presentedToken(
  ctx: Context,
  { audience, origin }: { readonly audience: string; readonly origin: string },
  needs: Needs,
): Promise<ClientCredentials> {
  if (ctx.get('authorization') === '') throw new TokenRefusal(undefined, 'an access token is required')
  const [, scheme = '', jwt = ''] = /^(bearer|dpop) +([\w.~+/-]+=*)$/i.exec(ctx.get('authorization')) ?? []
  if (jwt === '' || jwt.length > lengthAtMost) throw new TokenRefusal('invalid_token', 'the Authorization header is malformed')
  const token = await needs.provider.ClientCredentials.find(jwt)
  if (token === undefined || decodeJwt(jwt).aud !== audience) throw new TokenRefusal('invalid_token', 'not a token for this')
  const { jkt, 'x5t#S256': x5t } = token as { readonly jkt?: string; readonly 'x5t#S256'?: string }
  if (jkt === undefined && x5t === undefined) throw new TokenRefusal('invalid_token', 'the token is bound to nobody')
  if (x5t !== undefined && x5t !== certificateOf(ctx, needs)) throw new TokenRefusal('invalid_token', 'bound to another certificate')
  if ((jkt !== undefined) !== (scheme.toLowerCase() === 'dpop')) throw new TokenRefusal('invalid_token', 'not the scheme of the token')
  if (jkt !== undefined) await assertProof(ctx, { jwt, jkt, url: origin + ctx.path }, needs)
  return token
}

const certificateOf = ({ req }: Context, { config, clock }: Needs): string | undefined =>
  clientCertificate(req, { trustedProxyAddresses: config.TRUSTED_PROXY_ADDRESSES, clientCa: config.CLIENT_CA, clock })?.thumbprint

type Proving = { readonly jwt: string; readonly jkt: string; readonly url: string }

async function assertProof(ctx: Context, { jwt, jkt, url }: Proving, { provider, clock }: Needs): Promise<void> {
  const refusal = (message: string, cause?: unknown) => new TokenRefusal('invalid_dpop_proof', message, { cause })
  const now = clock.now()
  const [proof, ...others] = ctx.req.headersDistinct['dpop'] ?? []
  if (proof === undefined || others.length > 0 || proof.length > lengthAtMost) throw refusal('exactly one DPoP header is required')
  const options = { algorithms: proofAlgorithms, typ: 'dpop+jwt', currentDate: now }
  const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, options).catch((cause) => {
    throw refusal('the proof is not valid', cause)
  })
  const { htm, htu, ath, iat = Number.NaN, jti } = payload
  const named = typeof htu === 'string' ? URL.parse(htu) : null
  if (htm !== ctx.method || named === null || named.origin + named.pathname !== url) throw refusal('the proof is of another request')
  if (ath !== createHash('sha256').update(jwt).digest('base64url')) throw refusal('the proof is of another token')
  const ageSeconds = now.getTime() / 1000 - iat
  if (!(ageSeconds <= proofMaxAgeSeconds && ageSeconds >= -proofMaxFutureSeconds)) throw refusal('the proof is not of now')
  if (typeof jti !== 'string' || jti === '') throw refusal('the proof has no jti')
  if ((await calculateJwkThumbprint(protectedHeader.jwk ?? {})) !== jkt) throw new TokenRefusal('invalid_token', 'bound to another key')
  if (!(await provider.ReplayDetection.unique(`dpop ${jkt}`, jti, iat + proofMaxAgeSeconds))) throw refusal('the proof was used before')
}
