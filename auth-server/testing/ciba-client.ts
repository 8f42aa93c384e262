import { SignJWT } from 'jose'
import type { Answer, Request } from './exchange.ts'
import type { TestServer } from './test-server.ts'
import { type ClientKind, firstPartyScopes, random, ThirdParty } from './third-party.ts'

export const cibaGrant = 'urn:openid:params:grant-type:ciba'

export type CibaKind = Pick<ClientKind, 'authentication' | 'firstParty' | 'metadata'> & {
  /** Where it wants to be called; without one it polls. */
  readonly notificationEndpoint?: string
}

type Asking = Omit<Partial<Request>, 'form'> & {
  /** Of the form, beside the request. */
  readonly fields?: Readonly<Record<string, string | undefined>>
  readonly header?: Readonly<Record<string, unknown>>
}

/** A client of FAPI-CIBA that does everything right unless told otherwise, call by call. */
export class CibaClient {
  readonly thirdParty: ThirdParty
  readonly pings: boolean

  private constructor(thirdParty: ThirdParty, pings: boolean) {
    this.thirdParty = thirdParty
    this.pings = pings
  }

  static async register(server: TestServer, clientId: string, kind: CibaKind = {}): Promise<CibaClient> {
    const { notificationEndpoint, firstParty = false, authentication = 'private_key_jwt' } = kind
    const thirdParty = await ThirdParty.register(server, clientId, {
      authentication,
      firstParty,
      constraint: 'mtls',
      profile: 'fapi_ciba',
      metadata: {
        redirect_uris: [],
        response_types: [],
        grant_types: [cibaGrant, 'refresh_token', 'client_credentials'],
        require_pushed_authorization_requests: undefined,
        require_signed_request_object: true,
        backchannel_authentication_request_signing_alg: 'ES256',
        backchannel_token_delivery_mode: notificationEndpoint === undefined ? 'poll' : 'ping',
        ...(notificationEndpoint !== undefined && { backchannel_client_notification_endpoint: notificationEndpoint }),
        scope: firstParty ? firstPartyScopes : 'openid accounts payments',
        ...kind.metadata,
      },
    })
    return new CibaClient(thirdParty, notificationEndpoint !== undefined)
  }

  get clientId(): string {
    return this.thirdParty.clientId
  }

  /** A member that is undefined is left out. */
  claims(claims: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const now = Math.floor(Date.now() / 1000)
    return {
      iss: this.clientId,
      aud: this.thirdParty.server.issuer,
      jti: random(),
      iat: now,
      nbf: now,
      exp: now + 300,
      scope: 'openid accounts',
      binding_message: 'A1-B2',
      ...(this.pings && { client_notification_token: `token-${random()}` }),
      ...claims,
    }
  }

  sign(claims: Readonly<Record<string, unknown>>, header: Readonly<Record<string, unknown>> = {}): Promise<string> {
    return new SignJWT(this.claims(claims)).setProtectedHeader({ alg: 'ES256', kid: 'first', ...header }).sign(this.thirdParty.signingKey)
  }

  async ask(claims: Readonly<Record<string, unknown>>, { fields = {}, header = {}, ...options }: Asking = {}): Promise<Answer> {
    return this.thirdParty.post('/backchannel', { request: await this.sign(claims, header), ...fields }, options)
  }

  /** The auth_req_id of a request that was taken. */
  async asked(claims: Readonly<Record<string, unknown>>): Promise<string> {
    const answer = await this.ask(claims)
    if (answer.status !== 200) throw new Error(`not asked: ${answer.status} ${answer.text}`)
    return String(answer.json['auth_req_id'])
  }

  poll(authReqId: string, form: Record<string, string | undefined> = {}, options: Partial<Request> = {}): Promise<Answer> {
    return this.thirdParty.token({ grant_type: cibaGrant, auth_req_id: authReqId, ...form }, options)
  }
}

export const intent = (consentId: string) => ({ claims: { id_token: { openbanking_intent_id: { value: consentId, essential: true } } } })
