import { hash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Narrowing, TokenClaims } from '@bankside/bank/access/decide-access'
import { revokedTokenHash } from '@bankside/bank/access/revoke-token'
import type { UseIdentifier } from '@bankside/bank/access/used-identifiers'
import { type LeastRecentlyUsed, leastRecentlyUsed } from '@bankside/service-kit/least-recently-used'
import { Refusal, Unavailable } from '@bankside/service-kit/refusal'
import { errors, type JWTPayload } from 'jose'
import { refuseProof, type VerifiedProof, verifyDpopProof } from './dpop-proof.ts'
import type { HolderCertificate } from './holder-certificate.ts'
import { type IssuerKeys, whileKeysLast } from './issuer-keys.ts'
import { issuerSignature } from './issuer-signature.ts'
import type { AccessTokenRefusal } from './request-refusal.ts'

const tokenLimit = 4_096
const rememberedTokens = 10_000

declare const verified: unique symbol
/** Made by {@link accessTokenVerifier} only: the token is the issuer's, for this API, fresh, and presented by its holder. */
export type VerifiedToken = { readonly claims: TokenClaims; readonly subject: string; readonly [verified]: true }
/** All of that, but that its proof is being used up: what can be asked meanwhile may be, and nothing is done or answered before it is known. */
export type TokenInUse = { readonly claims: TokenClaims; readonly used: Promise<VerifiedToken> }

export type Trust = {
  readonly issuer: string
  readonly keys: IssuerKeys
  /** Public origin of this API: what `htu` of a proof begins with. */
  readonly origin: string
  readonly useProofOnce: UseIdentifier
  /** The client certificate of a connection, if one was presented that could hold a token. */
  readonly holderCertificate: (request: IncomingMessage) => HolderCertificate | undefined | Promise<HolderCertificate | undefined>
}

export type Presented = {
  readonly request: IncomingMessage
  readonly path: string
  readonly query: URLSearchParams
  readonly certificate: HolderCertificate | undefined
  readonly now: Date
}
type Confirmed = { readonly thumbprint?: string; readonly certificate?: string }
type Signed = { readonly token: VerifiedToken; readonly confirmation: Confirmed; readonly expiresAtSeconds: number }
/** A token as it was brought. */
type Held = Signed & { readonly scheme: string; readonly tokenHash: string }
type Remembered = LeastRecentlyUsed<string, Held>
type Holding = VerifiedToken | TokenInUse

/**
 * Verifies access tokens for one audience: signature, issuer, audience, expiry, and that whoever presents one holds the key
 * or certificate it was issued to. It does NOT ask whether grant, client and consent still stand: `readAccess` does, each time.
 *
 * @throws {Refusal} `token_missing`, `token_misplaced`, `token_invalid`, `proof_invalid`.
 * @see RFC 9068 section 4, RFC 9449 section 7.1, RFC 8705 section 3
 */
export function accessTokenVerifier(audience: string, trust: Trust): (presented: Presented) => Holding | Promise<Holding> {
  // A signature is verified once for a token: what is remembered, by the header that brought it, is that it was good, never that the consent is.
  const rememberedOf = whileKeysLast<Remembered>(trust.keys, () => leastRecentlyUsed(rememberedTokens))
  const checkSignature = issuerSignature(audience, trust)
  const checkHeld = (held: Held, { request, path, certificate, now }: Presented): Holding | Promise<Holding> => {
    const { scheme, tokenHash, token, confirmation } = held
    if (confirmation.certificate !== undefined) checkCertificate(certificate, confirmation.certificate)
    if ((confirmation.thumbprint !== undefined) !== (scheme === 'dpop')) refuseToken('the scheme does not fit the token')
    const { thumbprint } = confirmation
    if (thumbprint === undefined) return token
    const of = { method: request.method ?? '', url: `${trust.origin}${path}`, tokenHash, now }
    const proof = verifyDpopProof(singleProof(request), of)
    return proof instanceof Promise
      ? proof.then((verifiedProof) => useUp(verifiedProof, thumbprint, token, trust))
      : useUp(proof, thumbprint, token, trust)
  }
  const verifyFirst = async (presented: Presented, header: string, remembered: Remembered) => {
    const { scheme, jwt } = tokenIn(header)
    const signed = readClaims(await checkSignature(jwt, presented.now).catch(asRefusal), audience)
    const held = { ...signed, scheme, tokenHash: hash('sha256', jwt, 'base64url') }
    remembered.set(header, held)
    return checkHeld(held, presented)
  }
  return (presented) => {
    const header = authorizationOf(presented.request, presented.query)
    const remembered = rememberedOf()
    const known = remembered.get(header)
    return known !== undefined && known.expiresAtSeconds > presented.now.getTime() / 1_000
      ? checkHeld(known, presented)
      : verifyFirst(presented, header, remembered)
  }
}

/** RFC 6750 section 2.1, and no other place (FAPI2-RS-01, FAPI2-RS-02). */
function authorizationOf({ headers: { authorization } }: IncomingMessage, query: URLSearchParams): string {
  if (query.has('access_token')) refuseAccess('token_misplaced', 'an access token does not belong into a URL')
  if (authorization === undefined) refuseAccess('token_missing', 'an access token is required')
  return authorization
}

/** Schemes are case-insensitive (FAPI2-RS-06). */
function tokenIn(authorization: string): { readonly scheme: string; readonly jwt: string } {
  const [, scheme = '', jwt = ''] = /^(bearer|dpop) +([A-Za-z0-9._~+/-]+=*)$/i.exec(authorization) ?? []
  if (jwt === '' || jwt.length > tokenLimit) refuseToken('the Authorization header is malformed')
  return { scheme: scheme.toLowerCase(), jwt }
}

function asRefusal(cause: unknown): never {
  if (cause instanceof errors.JOSEError) refuseToken('the access token is not valid', cause)
  throw cause
}

function readClaims(payload: JWTPayload, audience: string): Signed {
  // One audience, as a string: a token for several APIs could be passed on from one to the other.
  if (payload.aud !== audience) refuseToken('the audience is not exactly this API')
  const text = (name: string) => (typeof payload[name] === 'string' ? payload[name] : undefined)
  const clientId = text('client_id')
  const confirmation = readConfirmation(payload['cnf'])
  if (clientId === undefined || payload.sub === undefined || payload.exp === undefined) refuseToken('a claim is missing')
  if (confirmation.thumbprint === undefined && confirmation.certificate === undefined) refuseToken('the token is not bound to its holder')
  const claims: TokenClaims = {
    clientId,
    scopes: new Set((text('scope') ?? '').split(' ').filter((scope) => scope !== '')),
    grantId: text('grant_id'),
    consentId: text('consent_id'),
    acr: text('acr'),
    tokenHash: revokedTokenHash(text('jti') ?? ''),
    authTime: typeof payload['auth_time'] === 'number' ? payload['auth_time'] : undefined,
    narrowedTo: readNarrowing(payload['authorization_details']),
  }
  return { token: { claims, subject: payload.sub } as VerifiedToken, confirmation, expiresAtSeconds: payload.exp }
}

/** What the token is for, when that may be less than its consent is: only account information comes in parts (RAR-04). */
function readNarrowing(details: unknown): Narrowing | undefined {
  const named = Array.isArray(details) ? details.filter((detail) => detail?.type === 'account_information') : []
  if (named.length === 0) return undefined
  const setOf = (name: string, idOf: (member: unknown) => unknown) =>
    named.every((detail) => Array.isArray(detail[name]))
      ? new Set<string>(named.flatMap((detail) => (detail[name] as unknown[]).map((member) => String(idOf(member)))))
      : undefined
  return {
    permissions: setOf('permissions', (permission) => permission),
    accounts: setOf('accounts', (account) => (account as { account_id?: unknown } | null)?.account_id),
  }
}

function readConfirmation(cnf: unknown): Confirmed {
  const { jkt, 'x5t#S256': x5t } = (typeof cnf === 'object' ? (cnf ?? {}) : {}) as Record<string, unknown>
  return { ...(typeof jkt === 'string' && { thumbprint: jkt }), ...(typeof x5t === 'string' && { certificate: x5t }) }
}

function checkCertificate(certificate: HolderCertificate | undefined, thumbprint: string): void {
  if (certificate?.thumbprint !== thumbprint) refuseToken('the token is bound to another certificate')
  if (certificate.revocation === 'unknown')
    throw new Unavailable('it is not known now whether the certificate was revoked', { retryAfterSeconds: 60 })
}

function singleProof(request: IncomingMessage): string {
  const [proof, ...others] = request.headersDistinct['dpop'] ?? []
  if (proof === undefined || others.length > 0) refuseProof('exactly one DPoP header is required')
  return proof
}

/** Used up only once everything else about the proof is right, and whatever is answered then. */
function useUp({ thumbprint, identifierHash, expiresAt }: VerifiedProof, boundTo: string, token: VerifiedToken, trust: Trust): TokenInUse {
  if (thumbprint !== boundTo) refuseToken('the token is bound to another key')
  const used = trust.useProofOnce(identifierHash, expiresAt).then((isFirst) => (isFirst ? token : refuseProof('the proof was used before')))
  return { claims: token.claims, used }
}

function refuseToken(message: string, cause?: unknown): never {
  refuseAccess('token_invalid', message, cause)
}

function refuseAccess(code: AccessTokenRefusal, message: string, cause?: unknown): never {
  throw new Refusal<AccessTokenRefusal>(code, message, { cause })
}
