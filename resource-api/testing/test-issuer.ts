import { randomUUID } from 'node:crypto'
import { createAuthority } from '@bankside/certs/authority'
import { issueServerCertificate, issueTransportCertificate, type Organisation } from '@bankside/certs/sandbox-credentials'
import { createTlsServer, drain, listen } from '@bankside/service-kit/tls-server'
import { type CryptoKey, exportJWK, generateKeyPair, type JWTHeaderParameters, SignJWT } from 'jose'

export const issuerUrl = 'https://as.bankside.test'
export const apiOrigin = 'https://rs.bankside.test'
export const audiences = { uk: `${apiOrigin}/open-banking`, bank: `${apiOrigin}/api/v1` }

export type TokenOptions = {
  readonly clientId: string
  readonly scope: string
  readonly audience?: string
  readonly cnf?: object
  readonly grantId?: string
  readonly consentId?: string
  readonly acr?: string
  readonly authTime?: number
  /** Over what a good token says. Undefined removes a claim. */
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Partial<JWTHeaderParameters>
  readonly key?: CryptoKey | Uint8Array
}
export type SigningKey = { readonly kid: string; readonly privateKey: CryptoKey; readonly publicKey: CryptoKey }
export type TestIssuer = Awaited<ReturnType<typeof startTestIssuer>>

/** An authority for every certificate, and the JWKS of an authorization server that is not there. */
export async function startTestIssuer() {
  const authority = await createAuthority({ commonName: 'Test authority', now: new Date() })
  const serverCertificate = await issueServerCertificate(authority, { keyKind: 'ec', now: new Date() })
  const published: SigningKey[] = [await newKey()]
  let asked = 0
  const server = createTlsServer({ certificates: [serverCertificate], requestClientCertificate: false }, (_request, response) => {
    asked++
    void Promise.all(
      published.map(async ({ kid, publicKey }) => ({ ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'ES256' })),
    ).then((keys) => response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys })))
  })
  const port = await listen(server, { port: 0, address: '127.0.0.1' })
  return {
    ca: authority.cert,
    authority,
    serverCertificate,
    jwksUri: `https://localhost:${port}/jwks`,
    published,
    newKey,
    asked: () => asked,
    newClientCertificate: (of: Organisation = organisation) =>
      issueTransportCertificate(authority, { organisation: of, keyKind: 'ec', now: new Date() }),
    mint: (options: TokenOptions) => mint(published[0] as SigningKey, options),
    mintWith: mint,
    close: () => drain(server, { limitMs: 500 }),
  }
}

export const organisation = {
  name: 'Acorn Money Ltd',
  identifier: 'PSDGB-FCA-123456',
  directoryId: '0015800001041RHAAY',
  roles: ['PSP_AI', 'PSP_PI'],
} as const

let keys = 0
async function newKey(): Promise<SigningKey> {
  return { kid: `key-${++keys}`, ...(await generateKeyPair('ES256')) }
}

function mint({ kid, privateKey }: SigningKey, options: TokenOptions): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const { clientId, scope, audience = audiences.uk, cnf, grantId, consentId, acr, authTime } = options
  const claims = {
    ...{ iss: issuerUrl, aud: audience, iat: now, exp: now + 300, jti: randomUUID(), client_id: clientId, scope, cnf },
    sub: grantId === undefined ? clientId : `pairwise-of-${grantId}`,
    ...{ grant_id: grantId, consent_id: consentId, acr, auth_time: authTime },
    ...options.claims,
  }
  const header = { alg: 'ES256', typ: 'at+jwt', kid, ...options.header }
  return new SignJWT(JSON.parse(JSON.stringify(claims))).setProtectedHeader(header).sign(options.key ?? privateKey, { crit: { exp: true } })
}
