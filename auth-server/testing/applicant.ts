import 'reflect-metadata' // First: what issues certificates does not load without it.
import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import type { Credential } from '@bankside/certs/authority'
import { issueTransportCertificate, subjectDistinguishedName } from '@bankside/certs/sandbox-credentials'
import { bankOrganisationId, pspRoleOf, type Software, type SoftwareRole } from '@bankside/sandbox/directory/software'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { type Answer, exchange } from './exchange.ts'
import type { Signed, TestDirectory } from './test-directory.ts'
import type { TestServerInside } from './test-server.ts'
import { type ClientKind, redirectUri, ThirdParty } from './third-party.ts'

export type Enrolment = {
  readonly roles?: readonly SoftwareRole[]
  readonly redirectUris?: readonly string[]
  /** Of the certificate, where they are others than those of the software. */
  readonly licensed?: readonly SoftwareRole[]
  /** Where the authority of its certificate answers whether it was revoked. */
  readonly ocspResponder?: string
}
type Claims = Readonly<Record<string, unknown>>
type Sending = Signed & { readonly statement?: string; readonly contentType?: string; readonly credential?: Credential | undefined }

const base62 = (length: number) =>
  Array.from(randomBytes(length), (byte) => '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'[byte % 62]).join('')

/** A third party of the directory that is not a client yet. It does everything right unless told otherwise. */
export class Applicant {
  readonly server: TestServerInside
  readonly directory: TestDirectory
  readonly software: Software
  readonly credential: Credential
  readonly keys: { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey }

  private constructor(parts: Pick<Applicant, 'server' | 'directory' | 'software' | 'credential' | 'keys'>) {
    this.server = parts.server
    this.directory = parts.directory
    this.software = parts.software
    this.credential = parts.credential
    this.keys = parts.keys
  }

  static async enrol(server: TestServerInside, directory: TestDirectory, name: string, enrolment: Enrolment = {}): Promise<Applicant> {
    const { roles = ['AISP', 'PISP'], licensed = roles, redirectUris = [redirectUri], ocspResponder } = enrolment
    const organisation = {
      name: `${name} Ltd`,
      identifier: `PSDGB-TEST-${randomInt(100_000, 999_999)}`,
      directoryId: `00158${base62(13)}`,
      roles: licensed.map((role) => pspRoleOf[role]),
    }
    const software: Software = { softwareId: base62(22), name, roles, redirectUris, organisation, status: 'Active' }
    const [keys, credential] = await Promise.all([
      generateKeyPair('PS256', { extractable: true }),
      issueTransportCertificate(server.authority, { organisation, keyKind: 'ec', now: new Date(), ocspResponder }),
    ])
    const applicant = new Applicant({ server, directory, software, credential, keys })
    directory.publishKeys(software, [await applicant.publicKey()])
    return applicant
  }

  async publicKey(kid = 'first', keys = this.keys): Promise<JWK> {
    return { ...(await exportJWK(keys.publicKey)), kid, alg: 'PS256', use: 'sig' }
  }

  get subject(): string {
    return subjectDistinguishedName(this.software.organisation)
  }

  /** A whole request as a FAPI 2.0 client makes it. A member that is undefined is left out. */
  async claims(changes: Claims = {}): Promise<Claims> {
    const now = Math.floor(Date.now() / 1000)
    return {
      iss: this.software.softwareId,
      iat: now,
      exp: now + 300,
      aud: bankOrganisationId,
      jti: randomUUID(),
      redirect_uris: this.software.redirectUris,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'PS256',
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      response_types: ['code'],
      software_id: this.software.softwareId,
      scope: 'openid accounts payments',
      software_statement: await this.directory.statement(this.software),
      application_type: 'web',
      id_token_signed_response_alg: 'PS256',
      request_object_signing_alg: 'PS256',
      ...changes,
    }
  }

  async request({ claims, header, key = this.keys.privateKey }: Signed = {}): Promise<string> {
    const all = JSON.parse(JSON.stringify(await this.claims(claims))) as Record<string, unknown>
    return new SignJWT(all).setProtectedHeader({ alg: 'PS256', typ: 'JWT', kid: 'first', ...header }).sign(key)
  }

  async register(sending: Sending = {}): Promise<Answer> {
    return this.send('POST', '/register', await this.request(sending), sending)
  }

  send(
    method: string,
    path: string,
    body: string | undefined,
    { contentType = 'application/jwt', ...sending }: Partial<Sending> = {},
    headers = {},
  ) {
    return exchange(this.server.mtlsIssuer + path, {
      ca: this.server.ca,
      credential: 'credential' in sending ? sending.credential : this.credential,
      method,
      body,
      headers: { ...(body !== undefined && { 'content-type': contentType }), ...headers },
    })
  }

  /** The same third party as the client that it has become. */
  async asClient(clientId: unknown, kind: ClientKind = {}): Promise<ThirdParty> {
    const proofKey = await generateKeyPair('ES256', { extractable: true })
    const parts = { credential: this.credential, signingKey: this.keys.privateKey, proofKey }
    return ThirdParty.registered(this.server, String(clientId), { algorithm: 'PS256', constraint: 'mtls', ...kind }, parts)
  }

  /** With a token of the client's own, that is bound to the certificate. */
  async manage(
    method: string,
    clientId: unknown,
    { as, body, token }: { as?: ThirdParty; body?: string; token?: string } = {},
  ): Promise<Answer> {
    const bearer = token ?? (await ownToken(as ?? (await this.asClient(clientId))))
    return this.send(method, `/register/${clientId}`, body, {}, { authorization: `Bearer ${bearer}` })
  }
}

/** A client-credentials token without a scope (UKDCR-15). */
export async function ownToken(client: ThirdParty): Promise<string> {
  const answer = await client.token({ grant_type: 'client_credentials' })
  if (answer.status !== 200) throw new Error(`no token: ${answer.status} ${answer.text}`)
  return String(answer.json['access_token'])
}
