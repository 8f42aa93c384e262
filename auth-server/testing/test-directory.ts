import 'reflect-metadata' // First: what issues certificates does not load without it.
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import { buffer } from 'node:stream/consumers'
import type { Credential } from '@bankside/certs/authority'
import { answerOcsp } from '@bankside/certs/ocsp-responder'
import { issueRevocationList } from '@bankside/certs/revocation-list'
import { issueServerCertificate } from '@bankside/certs/sandbox-credentials'
import { bankOrganisationId, directoryIssuer, type Software, testAuthority } from '@bankside/sandbox/directory/software'
import { statementClaims } from '@bankside/sandbox/directory/statement'
import { listen } from '@bankside/service-kit/tls-server'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

type Claims = Readonly<Record<string, unknown>>
export type Signed = { readonly claims?: Claims; readonly header?: Claims; readonly key?: CryptoKey | Uint8Array }

/** A directory in this process: what it publishes, and when it answers, is the test's to say. */
export class TestDirectory {
  readonly authority: Credential
  readonly origin: string
  readonly keys: { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey }
  /** By path: what is published there. */
  readonly published = new Map<string, unknown>()
  readonly asked: string[] = []
  readonly revoked: string[] = []
  answers: ((response: ServerResponse) => void) | undefined
  private readonly server: Server

  private constructor(parts: Pick<TestDirectory, 'authority' | 'origin' | 'keys'> & { server: Server }) {
    this.authority = parts.authority
    this.origin = parts.origin
    this.keys = parts.keys
    this.server = parts.server
  }

  static async start(authority: Credential): Promise<TestDirectory> {
    const keys = await generateKeyPair('PS256', { extractable: true })
    const made: { directory?: TestDirectory } = {}
    const server = createServer(await issueServerCertificate(authority, { keyKind: 'ec', now: new Date() }), (request, response) => {
      void made.directory?.answer(request, response)
    })
    const port = await listen(server, { port: 0, address: '127.0.0.1' })
    made.directory = new TestDirectory({ authority, origin: `https://localhost:${port}`, keys, server })
    made.directory.published.set('/jwks', { keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'directory', alg: 'PS256', use: 'sig' }] })
    return made.directory
  }

  /** Settings of a server that trusts this directory. */
  settings(changes: Claims = {}): Record<string, string> {
    const directory = {
      issuer: directoryIssuer,
      environment: 'test',
      jwks_uri: `${this.origin}/jwks`,
      key_hosts: ['localhost'],
      authorities: { [testAuthority.inStatements]: testAuthority.inCertificates, FCAGBR: 'GB-FCA' },
      ...changes,
    }
    return {
      DIRECTORIES: JSON.stringify([directory]),
      RATE_LIMIT_SIGN_IN: '1000',
      ORGANISATION_ID: bankOrganisationId,
      CLIENT_CRL_URLS: `${this.origin}/revoked.crl`,
    }
  }

  publishKeys(software: Software, keys: readonly JWK[]): void {
    this.published.set(`/software/${software.softwareId}/jwks`, { keys })
    this.published.set(`/software/${software.softwareId}/revoked-jwks`, { keys: [] })
  }

  /** A statement about a software as it is, but for what the test changes. */
  statement(software: Software, { claims, header, key = this.keys.privateKey }: Signed = {}): Promise<string> {
    const all = {
      iss: directoryIssuer,
      iat: Math.floor(Date.now() / 1000),
      jti: randomUUID(),
      ...statementClaims(software, this.origin),
      ...claims,
    }
    return new SignJWT(all).setProtectedHeader({ alg: 'PS256', typ: 'JWT', kid: 'directory', ...header }).sign(key)
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url: path = '' } = request
    this.asked.push(path)
    if (this.answers !== undefined) return this.answers(response)
    if (path === '/revoked.crl') {
      const now = new Date()
      const revoked = this.revoked.map((serialNumber) => ({ serialNumber, revokedAt: now }))
      response.end(await issueRevocationList(this.authority, { revoked, now, nextUpdate: new Date(now.getTime() + 3_600_000) }))
      return
    }
    if (path === '/ocsp') {
      const now = new Date()
      const statusOf = (serial: string) => (this.revoked.includes(serial) ? { revokedAt: now } : 'good')
      const order = { signer: this.authority, statusOf, now, nextUpdate: new Date(now.getTime() + 3_600_000) }
      response.end(answerOcsp(await buffer(request), order))
      return
    }
    const found = this.published.get(path)
    if (found === undefined) response.writeHead(404)
    response.end(JSON.stringify(found ?? {}))
  }

  stop(): void {
    this.server.close()
    this.server.closeAllConnections()
  }
}
