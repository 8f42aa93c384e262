import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { calculateJwkThumbprint, EmbeddedJWK, errors, type JWTVerifyGetKey, jwtVerify } from 'jose'
import type { Pool } from 'pg'

export class Refused extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export type AccessToken = { readonly clientId: string; readonly grantId: string; readonly scopes: ReadonlySet<string> }
type Trust = { readonly issuer: string; readonly audience: string; readonly keys: JWTVerifyGetKey; readonly pool: Pool }

const proofAgeSeconds = 60

/** @see RFC 9068 section 4, RFC 9449 section 4.3, RFC 8705 section 3 */
export async function verifyAccess(trust: Trust, request: IncomingMessage, socket: TLSSocket, htu: string): Promise<AccessToken> {
  const [, scheme, token] = /^(Bearer|DPoP) (\S+)$/i.exec(request.headers.authorization ?? '') ?? []
  if (scheme === undefined || token === undefined) throw new Refused(401, 'an access token is required')
  const { payload } = await verified(
    jwtVerify(token, trust.keys, {
      issuer: trust.issuer,
      audience: trust.audience,
      typ: 'at+jwt',
      algorithms: ['PS256'],
      requiredClaims: ['exp', 'client_id', 'cnf', 'grant_id'],
    }),
  )
  const confirmation = payload['cnf'] as { jkt?: string; 'x5t#S256'?: string }
  if (scheme.toLowerCase() === 'dpop') await verifyProof(trust, request, htu, token, confirmation.jkt)
  else {
    const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined
    const thumbprint = certificate && createHash('sha256').update(certificate.raw).digest('base64url')
    if (thumbprint === undefined || thumbprint !== confirmation['x5t#S256'])
      throw new Refused(401, 'the token is bound to another certificate')
  }
  return {
    clientId: String(payload['client_id']),
    grantId: String(payload['grant_id']),
    scopes: new Set(String(payload['scope'] ?? '').split(' ')),
  }
}

async function verifyProof({ pool }: Trust, request: IncomingMessage, htu: string, token: string, jkt: string | undefined): Promise<void> {
  const { payload, protectedHeader } = await verified(
    jwtVerify(String(request.headers['dpop'] ?? ''), EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: ['ES256', 'PS256'],
      maxTokenAge: proofAgeSeconds,
      clockTolerance: 5,
      requiredClaims: ['jti', 'htm', 'htu', 'ath'],
    }),
  )
  if (payload['htm'] !== request.method || payload['htu'] !== htu) throw new Refused(401, 'the proof is for another request')
  if (payload['ath'] !== createHash('sha256').update(token).digest('base64url')) throw new Refused(401, 'the proof is for another token')
  if (protectedHeader.jwk === undefined || (await calculateJwkThumbprint(protectedHeader.jwk)) !== jkt)
    throw new Refused(401, 'the token is bound to another key')
  const first = await pool.query(
    'insert into used_proof (jti, expires_at) values ($1, now() + make_interval(secs => $2)) on conflict do nothing',
    [`${jkt} ${payload.jti}`, proofAgeSeconds + 10],
  )
  if (first.rowCount === 0) throw new Refused(401, 'the proof was used before')
}

async function verified<Result>(verification: Promise<Result>): Promise<Result> {
  try {
    return await verification
  } catch (error) {
    if (error instanceof errors.JOSEError) throw new Refused(401, error.message)
    throw error
  }
}
