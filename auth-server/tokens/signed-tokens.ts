import { createPublicKey, hash, type JsonWebKey, type KeyObject } from 'node:crypto'
import { AccessRefusal } from '@bankside/bank/access/access-refusal'
import { demandStanding, type TokenClaims } from '@bankside/bank/access/decide-access'
import { revokedTokenHash } from '@bankside/bank/access/revoke-token'
import { readTokenStanding, type TokenStanding } from '@bankside/bank/access/standing'
import { isConsentId } from '@bankside/bank/ids'
import { unlicensedScopes } from '@bankside/bank/licences/psp-roles'
import { rolesIn } from '@bankside/bank/licences/register-entry'
import type { Clock } from '@bankside/service-kit/clock'
import { type LeastRecentlyUsed, leastRecentlyUsed } from '@bankside/service-kit/least-recently-used'
import { type Database, outsideTransaction } from '@bankside/service-kit/postgres'
import { errors, type JWTPayload, jwtVerify } from 'jose'
import { type AccessToken, type ClientCredentials, Provider } from 'oidc-provider'
import type { Config } from '../config.ts'
import type { ManagedGrant } from '../grants/grant-memory.ts'
import { keptWithRequest } from '../http/kept-with-request.ts'
import { isElsewhere, type SigningKey } from '../keys/key-material.ts'
import { protocolErrors } from '../protocol-errors.ts'
import { askForGrant } from '../storage/ask-ahead.ts'
import type { KeyedRows } from '../storage/keyed-rows.ts'
import { isReferredTo, signedTokenOf } from './token-reference.ts'

type Finding = { readonly config: Config; readonly database: Database; readonly rows: KeyedRows; readonly clock: Clock }

type PublicKey = KeyObject | Promise<KeyObject>

/** What access tokens are signed with (resource-servers.ts). */
const tokenAlgorithms = ['ES256']
const requiredClaims = ['exp', 'iat', 'sub', 'client_id', 'jti', 'cnf', 'aud']

/**
 * Access tokens are signed and never stored, so the library, asked about one, would find nothing. Here it finds those that are
 * this server's, and only as long as client, grant and consent stand in the database: what it then makes of them (who may ask,
 * what is told, how a holder proves itself) is its own.
 */
export function findSignedTokens(provider: Provider, finding: Finding): void {
  const keys = new Map(finding.config.SIGNING_KEYS.keys.map((key) => [key.kid, publicKeyOf(key)]))
  // A signature is verified once for a token. Another provider, with other keys, verifies it anew.
  const remembered = leastRecentlyUsed<string, JWTPayload>(rememberedTokens)
  const verifying = { keys, remembered, issuer: provider.issuer, clock: finding.clock }
  const ahead = keptWithRequest<{ readonly value: unknown; readonly found: Promise<Found | undefined> }>('token looked at ahead')
  const look = async (value: unknown): Promise<Found | undefined> => {
    const jwt = signedTokenOf(value)
    const claims = jwt === undefined ? undefined : await verified(jwt, verifying)
    if (claims === undefined) return undefined
    if (isReferredTo(value) && claims['grant_id'] !== undefined)
      askForGrant(finding.rows, String(claims['grant_id']), String(claims['client_id']))
    return { claims, standing: await standingNow(claims, finding) }
  }
  const lookOnce = lastAsked(look)
  // The library asks both about every token. One without a grant is its client's own.
  const found = (value: unknown) => {
    const looked = ahead.get(Provider.ctx ?? {})
    return looked !== undefined && looked.value === value ? looked.found : lookOnce(value)
  }
  const { AccessToken, ClientCredentials } = provider as unknown as Models
  AccessToken.find = async (value) => {
    const { claims, standing } = (await found(value)) ?? {}
    if (claims?.['grant_id'] === undefined) return undefined
    const customerId = standing && withinLicence(claims, standing) && standing.grant?.customerId
    if (customerId === undefined) return undefined
    const granted = isReferredTo(value) ? undefined : await provider.Grant.find(String(claims['grant_id']))
    return new AccessToken({ ...instanceOf(claims, value), accountId: customerId, claims: { userinfo: claimsOf(granted) } })
  }
  ClientCredentials.find = async (value) => {
    const { claims, standing } = (await found(value)) ?? {}
    if (claims === undefined || claims['grant_id'] !== undefined) return undefined
    const licensed = standing && withinLicence(claims, standing)
    return licensed && new ClientCredentials(instanceOf(licensed, value))
  }
  // Who asks about a token waits for the disk, on which their assertion is used up: the token is looked at meanwhile.
  const { ReplayDetection } = provider
  const { unique } = ReplayDetection
  ReplayDetection.unique = (...assertion: Parameters<typeof unique>) => {
    const used = unique.apply(ReplayDetection, assertion)
    const { ctx } = Provider
    if (ctx?.oidc.route !== 'introspection' || ahead.get(ctx) !== undefined) return used
    const value = ctx.oidc.params?.['token']
    const found = look(value)
    // When the request is refused before, nobody comes for it.
    found.catch(() => {})
    ahead.set(ctx, { value, found })
    return used
  }
}

/** What a token says that this server signed, and how it stands. */
type Found = {
  readonly claims: JWTPayload
  /** Undefined for one that does not stand any more. */
  readonly standing: TokenStanding | undefined
}

/** For who asks twice in a row, in one turn of the event loop: then nothing can have changed between. */
function lastAsked<Answer>(ask: (value: unknown) => Promise<Answer>): (value: unknown) => Promise<Answer> {
  let last: { readonly value: unknown; readonly answer: Promise<Answer> } | undefined
  return (value) => {
    if (last !== undefined && last.value === value) return last.answer
    const asked = { value, answer: ask(value) }
    last = asked
    queueMicrotask(() => {
      last = undefined
    })
    return asked.answer
  }
}

/** The library's classes, as far as its types do not say. */
type Model<Token> = { new (properties: object): Token; find(value: unknown): Promise<Token | undefined> }
type Models = { readonly AccessToken: Model<AccessToken>; readonly ClientCredentials: Model<ClientCredentials> }

const publicKeyOf = (key: SigningKey): PublicKey =>
  isElsewhere(key) ? key.keyObject() : createPublicKey({ key: key as JsonWebKey, format: 'jwk' })

const rememberedTokens = 10_000

type Verifying = {
  readonly keys: ReadonlyMap<unknown, PublicKey>
  readonly remembered: LeastRecentlyUsed<string, JWTPayload>
  readonly issuer: string
  readonly clock: Clock
}

async function verified(jwt: string, { keys, remembered, issuer, clock }: Verifying): Promise<JWTPayload | undefined> {
  const tokenHash = hash('sha256', jwt, 'base64url')
  const known = remembered.get(tokenHash)
  if (known?.exp !== undefined && known.exp > clock.now().getTime() / 1000) return known
  const key = async ({ kid }: { kid?: string }) => {
    const found = keys.get(kid)
    if (found === undefined) throw new errors.JWKSNoMatchingKey()
    return found
  }
  try {
    const options = { issuer, typ: 'at+jwt', algorithms: tokenAlgorithms, requiredClaims, currentDate: clock.now() }
    const { payload } = await jwtVerify(jwt, key, options)
    remembered.set(tokenHash, payload)
    return payload
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined
    throw error
  }
}

/** Undefined for one that does not stand any more. */
async function standingNow(claims: JWTPayload, { database, clock }: Finding): Promise<TokenStanding | undefined> {
  const token = tokenClaimsOf(claims)
  const standing = await protocolErrors(outsideTransaction(database, (tx) => readTokenStanding(tx, token)))
  try {
    demandStanding(standing, token, clock.now())
    return standing
  } catch (error) {
    if (error instanceof AccessRefusal) return undefined
    throw error
  }
}

/**
 * Whoever asks after a token goes by its scope: what the register has taken away is none any more (CERT-08). A customer's token is for
 * one consent, and without the scope for that it is nothing.
 */
function withinLicence(claims: JWTPayload, { client }: TokenStanding): JWTPayload | undefined {
  const roles = rolesIn(client?.licensedRoles)
  if (roles === undefined) return claims
  const scopes = String(claims['scope'] ?? '').split(' ')
  const beyond = new Set(unlicensedScopes(scopes, roles))
  if (beyond.size === 0) return claims
  const left = scopes.filter((scope) => !beyond.has(scope))
  return claims['grant_id'] !== undefined || left.length === 0 ? undefined : { ...claims, scope: left.join(' ') }
}

function tokenClaimsOf(claims: JWTPayload): TokenClaims {
  const text = (name: string) => (typeof claims[name] === 'string' ? claims[name] : undefined)
  const consentId = claims['consent_id']
  const grantId = text('grant_id')
  return {
    clientId: text('client_id') ?? '',
    scopes: new Set((text('scope') ?? '').split(' ')),
    grantId,
    consentId: isConsentId(consentId) ? consentId : undefined,
    acr: text('acr'),
    authTime: typeof claims['auth_time'] === 'number' ? claims['auth_time'] : undefined,
    tokenHash: revokedTokenHash(claims.jti ?? ''),
  }
}

/** Members as the library names them. At the userinfo endpoint a token serves whichever API it is for, so there it has no audience. */
function instanceOf(
  { aud, jti, iat, exp, cnf, scope, client_id, grant_id, authorization_details, sub: _name, iss: _us, ...extra }: JWTPayload,
  value: unknown,
) {
  const { jkt, 'x5t#S256': x5t } = cnf as { readonly jkt?: string; readonly 'x5t#S256'?: string }
  return {
    ...{ jti, iat, exp, scope, clientId: client_id, grantId: grant_id, rar: authorization_details },
    extra: { ...extra, ...(grant_id !== undefined && { grant_id }) },
    ...(isReferredTo(value) && { aud }),
    ...(jkt !== undefined && { jkt }),
    ...(x5t !== undefined && { 'x5t#S256': x5t }),
  }
}

/** What the one request that the grant is of asked for here; what of it was granted, the library asks the grant. */
const claimsOf = (grant: ManagedGrant | undefined) => Object.fromEntries((grant?.userinfoClaims ?? []).map((claim) => [claim, null]))
