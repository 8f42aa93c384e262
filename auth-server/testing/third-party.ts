import 'reflect-metadata' // First: what issues certificates does not load without it.
import { createHash, randomBytes, X509Certificate } from 'node:crypto'
import type { ClientProfile } from '@bankside/bank/clients/client'
import { registerClient } from '@bankside/bank/clients/register-client'
import { type Credential, selfSign } from '@bankside/certs/authority'
import { certificateKey } from '@bankside/certs/brought-certificate'
import { subjectDistinguishedName } from '@bankside/certs/sandbox-credentials'
import { transact } from '@bankside/service-kit/postgres'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { type Profile, profiles } from '../client-policy/profiles.ts'
import { type Answer, exchange, type Request } from './exchange.ts'
import { organisationOf, type TestServer } from './test-server.ts'

export type EndpointPath = '/token' | '/par' | '/revocation' | '/backchannel' | '/introspection' | '/userinfo'

export type ClientKind = {
  readonly authentication?: 'private_key_jwt' | 'tls_client_auth' | 'self_signed_tls_client_auth'
  /** Of everything that it signs. */
  readonly algorithm?: 'ES256' | 'PS256' | 'EdDSA'
  readonly constraint?: 'dpop' | 'mtls'
  readonly profile?: ClientProfile
  readonly firstParty?: boolean
  readonly metadata?: Readonly<Record<string, unknown>>
}

export type Proof = {
  readonly htm?: string
  readonly htu?: string
  readonly iat?: number
  readonly jti?: string
  readonly [claim: string]: unknown
}

export const redirectUri = 'https://third-party.example/callback?kept=yes'
export const firstPartyScopes = 'openid profile accounts:read transactions:read payments:write beneficiaries:read beneficiaries:write'

const nowSeconds = () => Math.floor(Date.now() / 1000)
export const random = () => randomBytes(16).toString('base64url')

/** A client that does everything right unless told otherwise, call by call. */
export class ThirdParty {
  readonly server: TestServer
  readonly clientId: string
  readonly kind: ClientKind
  readonly credential: Credential
  readonly signingKey: CryptoKey
  readonly proofKey: { privateKey: CryptoKey; publicKey: CryptoKey }
  readonly verifier = randomBytes(32).toString('base64url')

  private constructor(
    server: TestServer,
    clientId: string,
    kind: ClientKind,
    parts: { credential: Credential; signingKey: CryptoKey; proofKey: ThirdParty['proofKey'] },
  ) {
    this.server = server
    this.clientId = clientId
    this.kind = kind
    this.credential = parts.credential
    this.signingKey = parts.signingKey
    this.proofKey = parts.proofKey
  }

  /** One that is registered already. Its signing key has the id `first`. */
  static registered(
    server: TestServer,
    clientId: string,
    kind: ClientKind,
    parts: { credential: Credential; signingKey: CryptoKey; proofKey: ThirdParty['proofKey'] },
  ): ThirdParty {
    return new ThirdParty(server, clientId, kind, parts)
  }

  static async register(server: TestServer, clientId: string, kind: ClientKind = {}): Promise<ThirdParty> {
    const { authentication = 'private_key_jwt', algorithm = 'ES256', constraint = 'dpop', profile = 'fapi2_sp', firstParty = false } = kind
    const [keys, proofKey, credential] = await Promise.all([
      generateKeyPair(algorithm, { extractable: true }),
      generateKeyPair('ES256', { extractable: true }),
      authentication === 'self_signed_tls_client_auth'
        ? selfSign({ commonName: clientId, now: new Date() })
        : server.issueCertificate(clientId),
    ])
    const jwk: JWK = { ...(await exportJWK(keys.publicKey)), kid: 'first', use: 'sig', alg: algorithm }
    const metadata = {
      ...(profiles[profile].responseTypes.length > 0 && { redirect_uris: [redirectUri] }),
      grant_types: profiles[profile].grantTypes,
      response_types: profiles[profile].responseTypes,
      token_endpoint_auth_method: authentication,
      ...(authentication === 'private_key_jwt' && { token_endpoint_auth_signing_alg: algorithm }),
      ...(authentication === 'tls_client_auth' && { tls_client_auth_subject_dn: subjectDistinguishedName(organisationOf(clientId)) }),
      ...(profiles[profile].senderConstraints.length > 0 &&
        (constraint === 'dpop' ? { dpop_bound_access_tokens: true } : { tls_client_certificate_bound_access_tokens: true })),
      require_pushed_authorization_requests: profiles[profile].pushedRequests === 'required',
      require_signed_request_object: profiles[profile].requestObjects === 'required',
      id_token_signed_response_alg: 'ES256',
      jwks: {
        keys: authentication === 'self_signed_tls_client_auth' ? [jwk, await certificateKey(new X509Certificate(credential.cert))] : [jwk],
      },
      scope: firstParty ? firstPartyScopes : 'openid accounts payments',
      ...kind.metadata,
    }
    await transact(server.owner, (tx) =>
      registerClient(tx, { clientId, profile, name: `Client ${clientId}`, firstParty, metadata, now: new Date() }),
    )
    return new ThirdParty(server, clientId, kind, { credential, signingKey: keys.privateKey, proofKey })
  }

  get usesCertificate(): boolean {
    return this.authenticatesByCertificate || this.kind.constraint === 'mtls'
  }

  get authenticatesByCertificate(): boolean {
    return this.kind.authentication !== undefined && this.kind.authentication !== 'private_key_jwt'
  }

  /** The address of an endpoint as this client is to use it. */
  endpoint(path: EndpointPath): string {
    return (this.usesCertificate ? this.server.mtlsIssuer : this.server.issuer) + path
  }

  assertion(claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}): Promise<string> {
    const now = nowSeconds()
    const all = { iss: this.clientId, sub: this.clientId, aud: this.server.issuer, jti: random(), iat: now, exp: now + 60, ...claims }
    return new SignJWT(all).setProtectedHeader({ alg: this.algorithm, kid: 'first', ...header }).sign(this.signingKey)
  }

  get algorithm(): string {
    return this.kind.algorithm ?? 'ES256'
  }

  get profile(): Profile {
    return profiles[this.kind.profile ?? 'fapi2_sp']
  }

  /** A member that is undefined is left out, of the request as of what belongs to a JWT. */
  requestObject(params: Record<string, unknown> = {}, header: Record<string, unknown> = {}, key = this.signingKey): Promise<string> {
    const now = nowSeconds()
    const all = { ...this.request(), iss: this.clientId, aud: this.server.issuer, nbf: now, exp: now + 300, ...params }
    return new SignJWT(all).setProtectedHeader({ alg: this.algorithm, kid: 'first', typ: 'oauth-authz-req+jwt', ...header }).sign(key)
  }

  async proof(url: string, claims: Proof = {}, key = this.proofKey): Promise<string> {
    const jwk = await exportJWK(key.publicKey)
    return new SignJWT({ htm: 'POST', htu: url, iat: nowSeconds(), jti: random(), ...claims })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
      .sign(key.privateKey)
  }

  /** How it says who it is; merged with, and overruled by, what the test says. */
  async authentication(): Promise<Record<string, string>> {
    if (this.authenticatesByCertificate) return { client_id: this.clientId }
    return { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: await this.assertion() }
  }

  async post(path: EndpointPath, form: Record<string, string | undefined>, options: Partial<Request> = {}): Promise<Answer> {
    return exchange(this.endpoint(path), {
      ca: this.server.ca,
      ...(this.usesCertificate && { credential: this.credential }),
      ...options,
      form: { ...(await this.authentication()), ...form },
    })
  }

  /** A pushed authorization request; a member that is undefined is left out. */
  async push(params: Record<string, string | undefined>, options: Partial<Request> = {}): Promise<Answer> {
    if (this.profile.requestObjects === 'refused') return this.post('/par', { ...this.request(), ...params }, options)
    return this.post('/par', { client_id: this.clientId, request: await this.requestObject(params) }, options)
  }

  request(): Record<string, string> {
    return {
      response_type: this.profile.responseTypes[0] ?? '',
      ...(this.profile.responseModes[0] === 'jwt' && { response_mode: 'jwt' }),
      redirect_uri: redirectUri,
      scope: 'openid accounts',
      state: random(),
      nonce: random(),
      code_challenge: createHash('sha256').update(this.verifier).digest('base64url'),
      code_challenge_method: 'S256',
      client_id: this.clientId,
    }
  }

  async token(form: Record<string, string | undefined>, options: Partial<Request> = {}): Promise<Answer> {
    const headers = this.kind.constraint === 'mtls' ? {} : { dpop: await this.proof(this.endpoint('/token')) }
    return this.post('/token', form, { headers, ...options })
  }

  /** As the token's holder: by certificate, or with a proof for this token. */
  async userinfo(accessToken: string, options: Partial<Request> = {}, proof: Proof = {}): Promise<Answer> {
    const url = this.endpoint('/userinfo')
    const ath = createHash('sha256').update(accessToken).digest('base64url')
    const byProof = this.kind.constraint !== 'mtls'
    const headers = byProof
      ? { authorization: `DPoP ${accessToken}`, dpop: await this.proof(url, { htm: 'GET', ath, ...proof }) }
      : { authorization: `Bearer ${accessToken}` }
    return exchange(url, { ca: this.server.ca, ...(this.usesCertificate && { credential: this.credential }), headers, ...options })
  }

  redeem(code: string, form: Record<string, string | undefined> = {}, options: Partial<Request> = {}): Promise<Answer> {
    return this.token({ grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: this.verifier, ...form }, options)
  }

  refresh(refreshToken: string, form: Record<string, string | undefined> = {}, options: Partial<Request> = {}): Promise<Answer> {
    return this.token({ grant_type: 'refresh_token', refresh_token: refreshToken, ...form }, options)
  }
}

export const intentClaim = (consentId: string, more: Record<string, unknown> = {}): string =>
  JSON.stringify({ id_token: { openbanking_intent_id: { value: consentId, essential: true }, ...more } })
