import { type ClientCertificate, clientCertificate } from '@bankside/service-kit/client-certificate'
import type { Clock } from '@bankside/service-kit/clock'
import type { Log } from '@bankside/service-kit/log'
import type { Database } from '@bankside/service-kit/postgres'
import type { Prepared } from '@bankside/service-kit/prepared'
import type { RedisStore } from '@bankside/service-kit/redis'
import { type Configuration, type KoaContextWithOIDC, Provider, type ResponseType } from 'oidc-provider'
import { backchannelRequestStorage } from './backchannel/backchannel-request-storage.ts'
import { ciba } from './backchannel/ciba.ts'
import { findHintedAccount } from './backchannel/hints.ts'
import { namePairwise } from './backchannel/name-pairwise.ts'
import { keepingBackchannelRequest } from './backchannel/request-object.ts'
import { requestSeconds } from './backchannel/request-seconds.ts'
import { acceptAssertionAudiences } from './client-authentication/assertion-audience.ts'
import { isNamed } from './client-authentication/certificate-name.ts'
import { createAssertClientAssertion } from './client-authentication/client-assertion.ts'
import { assertProofNotFromTheFuture } from './client-authentication/dpop-proof.ts'
import { noteCertificates } from './client-authentication/note-certificate.ts'
import { isRegisteredCertificate } from './client-authentication/registered-certificate.ts'
import { followKeySets } from './client-keys/follow-key-sets.ts'
import { enabledAlgorithms } from './client-policy/enabled-algorithms.ts'
import { allOfProfiles, profileOf } from './client-policy/profiles.ts'
import type { Config } from './config.ts'
import { additionalMetadata, routes } from './discovery.ts'
import { rememberManagement } from './grants/grant-memory.ts'
import { createAssertGrantAction } from './grants/requested-action.ts'
import { createRevocationPolicy } from './grants/revocation.ts'
import { cookieNames } from './http/cookie-names.ts'
import { rememberAddresses } from './http/endpoint-addresses.ts'
import { keyedSignatures } from './http/keyed-signatures.ts'
import { limitClient, type RequestLimits } from './http/request-limits.ts'
import { createAssertAuthorizationRequest } from './intents/assert-authorization-request.ts'
import { authorizationDetailTypes } from './intents/authorization-details.ts'
import { type IntentKinds, intentKinds } from './intents/consent-ahead.ts'
import { detailsForAccessToken, detailsForCode, leaveOutAccounts } from './intents/granted-details.ts'
import { acrOfSca, assertClaimsParameter } from './intents/requested-claims.ts'
import { promptPolicy } from './interactions/prompt-policy.ts'
import { grantReadBy, readOnce } from './interactions/read-once.ts'
import { grantBySession } from './interactions/single-sign-on.ts'
import { isElsewhere } from './keys/key-material.ts'
import type { AuthServerMetrics } from './metrics.ts'
import { protocolErrors } from './protocol-errors.ts'
import type { Published } from './published/open-published.ts'
import { createAssertRequestObject } from './requests/request-object.ts'
import { onParameters } from './requests/request-parameters.ts'
import { isPkceRequired } from './requests/request-rules.ts'
import { assertShallowJwts } from './requests/shallow-jwt.ts'
import { createAdapter, type OwnStorage } from './storage/adapter.ts'
import { askForCode } from './storage/ask-ahead.ts'
import type { KeyedRows } from './storage/keyed-rows.ts'
import { keepClients } from './storage/known-clients.ts'
import { writeSessionsSeldom } from './storage/lasting-sessions.ts'
import type { PushedWrites } from './storage/pushed-writes.ts'
import { storedSeals } from './storage/stored-seals.ts'
import type { TokenWrites } from './storage/token-writes.ts'
import { identifierUseOf } from './storage/use-identifier.ts'
import * as lifetimes from './tokens/lifetimes.ts'
import { pairwiseSubject } from './tokens/pairwise-subject.ts'
import { audiencesOf, createResourceServers, mayIntrospect } from './tokens/resource-servers.ts'
import { scopes } from './tokens/scopes.ts'
import { findSignedTokens } from './tokens/signed-tokens.ts'
import { createFindAccount, extraTokenClaims, refreshTokenExpiresAt } from './tokens/token-claims.ts'
import { referToSignedToken } from './tokens/token-reference.ts'

export type ProviderDependencies = {
  readonly config: Config
  readonly database: Database
  readonly prepared: Prepared
  readonly rows: KeyedRows
  readonly tokens: TokenWrites
  readonly pushed: PushedWrites
  readonly redis?: RedisStore | undefined
  readonly clock: Clock
  readonly log: Log
  readonly metrics: AuthServerMetrics
  readonly limits: RequestLimits
  readonly published: Published
  readonly renderError: NonNullable<Configuration['renderError']>
}

/** oidc-provider as this bank runs it. What is not on here is neither served nor advertised. */
export function createProvider(dependencies: ProviderDependencies): Provider {
  const { config, database, prepared, rows, clock, log, published } = dependencies
  const intents = intentKinds(database, clock)
  const provider = new Provider(config.ISSUER, configuration(dependencies, intents))
  // The library looks first and writes after: two that race would both find nothing.
  const { pushed, tokens, redis } = dependencies
  // Where requests are kept elsewhere, an assertion cannot be used up together with one.
  const useIdentifier = identifierUseOf(prepared, (used) => (redis === undefined && pushed.joins(used)) || tokens.joins(used))
  provider.ReplayDetection.unique = (issuer: string, identifier: string, expiresAt: number) =>
    protocolErrors(useIdentifier(issuer, identifier, expiresAt))
  keepClients(provider, rows)
  if (redis === undefined) askForCode(provider, rows)
  intents.askAhead(provider)
  allowLocalRedirects(provider)
  rememberAddresses(provider)
  acceptAssertionAudiences(provider, [config.ISSUER, config.MTLS_ISSUER])
  findSignedTokens(provider, dependencies)
  onParameters(provider, [assertShallowJwts, referToSignedToken])
  writeSessionsSeldom(provider, clock)
  namePairwise(provider)
  followKeySets(provider, published.keySets, log)
  rememberManagement(provider)
  readOnce(provider)
  return provider
}

/** The library forbids a redirect to localhost to who gets an ID token in the front channel: here it is hashes and a pseudonym. */
function allowLocalRedirects({ Client }: Provider): void {
  const { prototype } = (Client as unknown as { Schema: { prototype: { invalidate(message: string, code?: string): void } } }).Schema
  const { invalidate } = prototype
  prototype.invalidate = function (message, code) {
    if (code !== 'implicit-forbid-localhost') invalidate.call(this, message, code)
  }
}

/** What the library does not know of a client. */
const metadataOfOurs = [
  ...['profile', 'first_party', 'organisation', 'licensed_roles', 'audience'],
  ...['require_dpop_nonce', 'post_logout_redirect_uris'],
]

function configuration(dependencies: ProviderDependencies, intents: IntentKinds): Configuration {
  const { config, database, clock, published, tokens, renderError } = dependencies
  const { SECRETS: secrets } = config
  const limit = limitClient(dependencies)
  const policy = promptPolicy()
  const bySession = grantBySession({ config, clock, policy })
  return {
    adapter: createAdapter({ ...dependencies, seals: storedSeals(secrets.seal_keys), own: ownStorage(dependencies) }),
    jwks: config.SIGNING_KEYS,
    routes,
    responseTypes: allOfProfiles(({ responseTypes }) => responseTypes) as ResponseType[],
    scopes: [...new Set(Object.values(scopes).flat())],
    subjectTypes: ['pairwise', 'public'],
    pairwiseIdentifier: (_ctx, customerId, client) => pairwiseSubject(secrets.pairwise_salt, customerId, client.clientId),
    claims: { openid: ['sub', 'acr', 'amr', 'auth_time', refreshTokenExpiresAt], profile: ['name'], openbanking_intent_id: null },
    acrValues: [acrOfSca],
    clientAuthMethods: allOfProfiles(({ clientAuthentication }) => clientAuthentication),
    assertJwtClientAuthClaimsAndHeader: createAssertClientAssertion(clock, limit),
    // JARM-02: the library's own would be RS256.
    clientDefaults: {
      id_token_signed_response_alg: 'ES256',
      authorization_signed_response_alg: 'PS256',
      introspection_signed_response_alg: 'PS256',
      token_endpoint_auth_method: 'private_key_jwt',
    },
    extraClientMetadata: { properties: [...metadataOfOurs] },
    // `scope` is asked about in every authorization request, present or not: the one hook that always runs, and runs last.
    extraParams: {
      grant_management_action: createAssertGrantAction(database, clock),
      grant_id: null,
      scope: createAssertAuthorizationRequest(intents),
    },
    enabledJWA: enabledAlgorithms(config.SIGNING_KEYS),
    // One value for all that the library verifies; who is stricter is held to it by our own checks.
    clockTolerance: Math.max(...allOfProfiles(({ clockSkewSeconds }) => [clockSkewSeconds])),
    allowOmittingSingleRegisteredRedirectUri: false,
    pkce: { required: isPkceRequired },
    // A first-party app's scope `profile` gives the name in the ID token, where it is used.
    conformIdTokenClaims: false,
    clientBasedCORS: () => false,
    // Addresses that third parties gave us: never a way into the bank's network.
    fetch: published.fetch as typeof fetch,
    discovery: additionalMetadata(config.ISSUER, config.MTLS_ISSUER),
    cookies: {
      keys: keyedSignatures(secrets.cookie_keys),
      names: cookieNames,
      long: { signed: true, httpOnly: true, secure: true, sameSite: 'lax', path: '/' },
      short: { signed: true, httpOnly: true, secure: true, sameSite: 'lax' },
    },
    ttl: ttl(clock),
    findAccount: findHintedAccount(createFindAccount(database), { database, salt: secrets.pairwise_salt }),
    extraTokenClaims,
    formats: { customizers: { jwt: leaveOutAccounts } },
    issueRefreshToken: issueRefreshToken(tokens),
    rotateRefreshToken: ({ oidc: { client } }) => client !== undefined && profileOf(client).refreshTokens === 'rotated',
    expiresWithSession: () => false,
    // A third party's grant is for one consent: it is found only in the journey that made it, never again through the session.
    loadExistingGrant: async (ctx) => {
      const grantId = ctx.oidc.result?.consent?.grantId
      if (grantId === undefined) return bySession(ctx)
      return grantReadBy(ctx, grantId) ?? ctx.oidc.provider.Grant.find(grantId)
    },
    interactions: { policy, url: (_ctx, { uid }) => `/interaction/${uid}` },
    renderError,
    features: features({ ...dependencies, limit }),
  }
}

const ttl = (clock: Clock): NonNullable<Configuration['ttl']> => ({
  AccessToken: lifetimes.accessTokenSeconds,
  ClientCredentials: lifetimes.accessTokenSeconds,
  AuthorizationCode: lifetimes.authorizationCodeSeconds,
  IdToken: lifetimes.idTokenSeconds,
  Session: (_ctx, session) => lifetimes.sessionSeconds(session.loginTs, clock.now().getTime() / 1000),
  Interaction: lifetimes.longestJourneySeconds,
  BackchannelAuthenticationRequest: requestSeconds,
  RefreshToken: (ctx) => ctx.oidc.entities.Grant?.remainingTTL ?? lifetimes.accessTokenSeconds,
})

const ownStorage = ({ config, database, prepared, clock, log }: ProviderDependencies): OwnStorage => ({
  BackchannelAuthenticationRequest: backchannelRequestStorage({
    prepared,
    database,
    clock,
    log,
    seals: storedSeals(config.SECRETS.seal_keys),
    notificationKey: config.NOTIFICATION_KEYS[0],
    salt: config.SECRETS.pairwise_salt,
  }),
})

type FeatureDependencies = Pick<ProviderDependencies, 'config' | 'database' | 'prepared' | 'clock'> & {
  readonly limit: (ctx: KoaContextWithOIDC) => void
}

function features({ config, database, prepared, clock, limit }: FeatureDependencies): NonNullable<Configuration['features']> {
  const certificateOf = (ctx: KoaContextWithOIDC) =>
    clientCertificate(ctx.req, { trustedProxyAddresses: config.TRUSTED_PROXY_ADDRESSES, clientCa: config.CLIENT_CA, clock })
  const noteCertificate = noteCertificates(prepared, clock)
  return {
    devInteractions: { enabled: false },
    externalSigningSupport: { enabled: config.SIGNING_KEYS.keys.some(isElsewhere), ack: 'experimental-01' },
    userinfo: { enabled: true },
    jwtUserinfo: { enabled: true },
    introspection: { enabled: true, allowedPolicy: mayIntrospect },
    jwtIntrospection: { enabled: true },
    // Its pages need scripts, and it tells clients while the customer waits: see logout/.
    rpInitiatedLogout: { enabled: false },
    backchannelLogout: { enabled: true },
    fapi: { enabled: true, profile: (_ctx, client) => (client === undefined ? '2.0' : profileOf(client).fapi) },
    // Whether a client must push its requests, and sign them, is in the row of its profile.
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: false },
    requestObjects: {
      enabled: true,
      requireSignedRequestObject: false,
      assertJwtClaimsAndHeader: keepingBackchannelRequest(createAssertRequestObject(clock)),
    },
    jwtResponseModes: { enabled: true },
    clientCredentials: { enabled: true },
    ciba: ciba({ database, clock, salt: config.SECRETS.pairwise_salt }),
    revocation: { enabled: true, allowedPolicy: createRevocationPolicy(database, clock) },
    claimsParameter: { enabled: true, assertClaimsParameter },
    resourceIndicators: { enabled: true, ...createResourceServers(audiencesOf(config), certificateOf, noteCertificate) },
    richAuthorizationRequests: {
      enabled: true,
      types: authorizationDetailTypes(clock),
      authorizationDetailsForGrantSource: detailsForCode,
      authorizationDetailsForIntrospection: (_ctx, { rar }) => rar,
      authorizationDetailsForAccessToken: detailsForAccessToken,
    },
    dPoP: {
      enabled: true,
      nonceSecret: config.SECRETS.dpop_nonce_secret,
      requireNonce: (ctx) => {
        assertProofNotFromTheFuture(ctx, clock.now().getTime() / 1000)
        return ctx.oidc.client?.['require_dpop_nonce'] === true
      },
    },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      tlsClientAuth: true,
      selfSignedTlsClientAuth: true,
      getCertificate: (ctx) => {
        const found = certificateOf(ctx)
        if (isRegisteredCertificate(ctx, found)) limit(ctx)
        return usableCertificate(ctx, found)
      },
      certificateAuthorized: (ctx) => certificateOf(ctx)?.trusted === true,
      certificateSubjectMatches: (ctx, property, registered) => {
        const found = certificateOf(ctx)
        const matches = found !== undefined && isNamed(found.certificate, property, registered)
        if (matches) limit(ctx)
        return matches
      },
    },
  }
}

/** A self-signed certificate counts for who registered it. Before the client is known, its token says which certificate it must be. */
function usableCertificate({ oidc }: KoaContextWithOIDC, found: ClientCertificate | undefined) {
  const selfSignedCounts = oidc.client === undefined || oidc.client.clientAuthMethod === 'self_signed_tls_client_auth'
  return found?.trusted || (found?.selfSigned && selfSignedCounts) ? found.certificate : undefined
}

/** Where no refresh token comes with the tokens of a code, they are written now. */
function issueRefreshToken(tokens: TokenWrites): NonNullable<Configuration['issueRefreshToken']> {
  return async (ctx, client, code) => {
    const isIssued = client.grantTypeAllowed('refresh_token') && !isPayment(ctx, code.scopes)
    if (!isIssued) await tokens.write()
    return isIssued
  }
}

const isPayment = (ctx: KoaContextWithOIDC, granted: ReadonlySet<string>): boolean =>
  granted.has('payments') || ctx.oidc.entities.Grant?.rar?.some(({ type }) => type === 'payment_initiation') === true
