import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { importJWK, type JWK } from 'jose'
import * as openid from 'openid-client'
import { clientNamed, type DemoClient, type SandboxDescription } from '../sandbox/description.ts'
import { type Answer, readAnswer } from './answer.ts'
import type { Trace } from './exchange.ts'
import { type HttpsFetch, httpsFetch } from './https-fetch.ts'

export type Tokens = openid.TokenEndpointResponse & openid.TokenEndpointResponseHelpers
export type Call = { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> }

/** What is asked of the customer. UK intents are named by the `claims` parameter, by `authorization_details`, or by both. */
export type AuthorizationRequest = {
  readonly scope: string
  readonly intent?: { readonly consentId: string; readonly namedBy: 'claims' | 'authorization_details' | 'both' }
  readonly parameters?: Readonly<Record<string, string>>
  /** Where the client has the choice; else as its profile has it. */
  readonly pushed?: boolean
}

export type StartedAuthorization = {
  readonly url: URL
  readonly redirectUri: string
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
}

/** A third party as one is really written: openid-client for the protocol, HTTPS that trusts one authority, its own keys. */
export type ThirdParty = {
  readonly client: DemoClient
  readonly sandbox: SandboxDescription
  readonly configuration: openid.Configuration
  /** The key its DPoP proofs are signed with; present also when tokens are bound to a certificate, and then not used. */
  readonly proofKeys: openid.CryptoKeyPair
  readonly fetch: HttpsFetch
  clientCredentials(scope: string): Promise<Tokens>
  start(request: AuthorizationRequest): Promise<StartedAuthorization>
  redeem(started: StartedAuthorization, callback: URL): Promise<Tokens>
  refresh(refreshToken: string): Promise<Tokens>
  userinfo(tokens: Tokens): Promise<openid.UserInfoResponse>
  call(accessToken: string, method: string, url: string, call?: Call): Promise<Answer>
}

export async function openThirdParty(
  sandbox: SandboxDescription,
  clientId: string,
  { trace, metadata = {} }: { trace?: Trace; metadata?: Partial<openid.ClientMetadata> } = {},
): Promise<ThirdParty> {
  const client = clientNamed(sandbox, clientId)
  const fetch = httpsFetch({
    caFile: sandbox.ca_file,
    ...(usesCertificate(client) ? { certFile: client.cert_file, keyFile: client.key_file } : {}),
    trace,
  })
  const configuration = await openid.discovery(
    new URL(sandbox.issuer),
    client.client_id,
    { use_mtls_endpoint_aliases: usesCertificate(client), ...metadata },
    await clientAuthentication(client),
    { [openid.customFetch]: fetch as openid.CustomFetch, execute: [openid.enableNonRepudiationChecks, ...responsesOf(client)] },
  )
  const proofKeys = await openid.randomDPoPKeyPair('ES256')
  const dpop = client.sender_constraint === 'dpop' ? { DPoP: openid.getDPoPHandle(configuration, proofKeys) } : {}
  const redirectUri = client.redirect_uris[0] ?? ''
  return {
    client,
    sandbox,
    configuration,
    proofKeys,
    fetch,
    clientCredentials: (scope) => openid.clientCredentialsGrant(configuration, { scope }, dpop),
    async start(request) {
      const secrets = { state: openid.randomState(), nonce: openid.randomNonce(), codeVerifier: openid.randomPKCECodeVerifier() }
      const challenge = await openid.calculatePKCECodeChallenge(secrets.codeVerifier)
      const parameters = authorizationParameters(request, { ...secrets, challenge, redirectUri })
      const signed = signsRequests(client)
        ? await openid.buildAuthorizationUrlWithJAR(configuration, parameters, await signingKey(client))
        : undefined
      const byValue = signed !== undefined && client.profile.startsWith('fapi1') && request.pushed !== true
      const url = byValue ? signed : await openid.buildAuthorizationUrlWithPAR(configuration, signed?.searchParams ?? parameters, dpop)
      return { url, redirectUri, ...secrets }
    },
    redeem: ({ state, nonce, codeVerifier }, callback) =>
      openid.authorizationCodeGrant(
        configuration,
        callback,
        { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: codeVerifier, idTokenExpected: true },
        {},
        dpop,
      ),
    userinfo: ({ access_token, claims }) => openid.fetchUserInfo(configuration, access_token, claims()?.sub ?? '', dpop),
    refresh: (refreshToken) => openid.refreshTokenGrant(configuration, refreshToken, {}, dpop),
    async call(accessToken, method, url, { body, headers = {} } = {}) {
      const sent = new Headers({ accept: 'application/json', 'x-fapi-interaction-id': randomUUID(), ...headers })
      if (body !== undefined && !sent.has('content-type')) sent.set('content-type', 'application/json')
      const content = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
      return await readAnswer(
        await challenged(openid.fetchProtectedResource(configuration, accessToken, new URL(url), method, content, sent, dpop)),
      )
    },
  }
}

const signsRequests = ({ profile }: DemoClient) => profile !== 'fapi2_sp'

/** How answers come back, and what is checked of them: iss in the query, one signed JWT, or code and ID token that vouch for each other. */
function responsesOf({ profile }: DemoClient): ((configuration: openid.Configuration) => void)[] {
  if (profile === 'fapi1_adv_hybrid') return [openid.useCodeIdTokenResponseType, openid.enableDetachedSignatureResponseChecks]
  return profile === 'fapi2_ms' || profile === 'fapi1_adv_jarm' ? [openid.useJwtResponseMode] : []
}

/** A certificate is shown for tls_client_auth, for tokens bound to one, or for both; then the mTLS aliases are the endpoints (FAPI2-CL-06). */
export const usesCertificate = (client: DemoClient) =>
  client.token_endpoint_auth_method === 'tls_client_auth' || client.sender_constraint === 'mtls'

async function clientAuthentication(client: DemoClient): Promise<openid.ClientAuth> {
  if (client.token_endpoint_auth_method === 'tls_client_auth') return openid.TlsClientAuth()
  const { key, kid } = await signingKey(client)
  return openid.PrivateKeyJwt({ key, kid })
}

/** The key that a client signs its assertions with. */
export async function signingKey(client: DemoClient): Promise<{ key: openid.CryptoKey; kid: string; alg: string }> {
  if (client.jwks_file === null) throw new Error(`${client.client_id} has no keys`)
  const { keys } = JSON.parse(readFileSync(client.jwks_file, 'utf8')) as { keys: JWK[] }
  const jwk = keys.find(({ use, d }) => d !== undefined && (use === undefined || use === 'sig'))
  if (jwk === undefined) throw new Error(`${client.client_id} has no private key to sign with`)
  const alg = jwk.alg ?? (jwk.kty === 'EC' ? 'ES256' : 'PS256')
  return { key: (await importJWK(jwk, alg)) as openid.CryptoKey, kid: jwk.kid ?? '', alg }
}

type Secrets = { state: string; nonce: string; codeVerifier: string; challenge: string; redirectUri: string }

function authorizationParameters({ scope, intent, parameters }: AuthorizationRequest, secrets: Secrets): Record<string, string> {
  const claims = { id_token: { openbanking_intent_id: { value: intent?.consentId, essential: true } } }
  const details = [{ type: 'openbanking_consent', consent_id: intent?.consentId }]
  return {
    scope,
    redirect_uri: secrets.redirectUri,
    state: secrets.state,
    nonce: secrets.nonce,
    code_challenge: secrets.challenge,
    code_challenge_method: 'S256',
    ...(intent && intent.namedBy !== 'authorization_details' ? { claims: JSON.stringify(claims) } : {}),
    ...(intent && intent.namedBy !== 'claims' ? { authorization_details: JSON.stringify(details) } : {}),
    ...parameters,
  }
}

/** openid-client throws a 401 with a challenge; here it is an answer like any other. */
async function challenged(pending: Promise<Response>): Promise<Response> {
  try {
    return await pending
  } catch (error) {
    if (error instanceof openid.WWWAuthenticateChallengeError) return error.response
    throw error
  }
}
