import { createHash, randomUUID, X509Certificate } from 'node:crypto'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import type { Credential } from '@bankside/certs/authority'
import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, type JWTHeaderParameters, SignJWT } from 'jose'
import { apiOrigin } from './test-issuer.ts'

export type Answer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was answered
  readonly body: any
}

export type Request = {
  readonly token?: string
  readonly scheme?: string
  readonly body?: unknown
  /** Sent as it is. */
  readonly raw?: string | Buffer
  /** Undefined removes a header that would be sent. An array sends it once for each value. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly proof?: string | readonly string[] | undefined
}

export type ProofOptions = {
  readonly claims?: Record<string, unknown>
  readonly header?: Partial<JWTHeaderParameters>
  readonly key?: CryptoKey | Uint8Array
}
export type TestClient = Awaited<ReturnType<typeof createTestClient>>

type ClientOptions = {
  readonly port: number
  readonly ca: string
  readonly binding: 'dpop' | 'mtls'
  readonly certificate: Credential
  /** Whether the connection is held with the certificate, also where tokens are bound to the key. */
  readonly presents?: boolean
  readonly onAnswer?: (method: string, path: string, answer: Answer) => void
}

/** A third party: an own key for DPoP, an own certificate for mTLS, and one kept connection. */
export async function createTestClient({ port, ca, binding, certificate, presents = binding === 'mtls', onAnswer }: ClientOptions) {
  const keys = await generateKeyPair('ES256')
  const jwk = await exportJWK(keys.publicKey)
  const agent = new https.Agent({
    keepAlive: true,
    maxSockets: 60,
    ca,
    ...(presents && { cert: certificate.cert, key: certificate.key }),
  })
  const cnf =
    binding === 'dpop'
      ? { jkt: await calculateJwkThumbprint(jwk) }
      : { 'x5t#S256': createHash('sha256').update(new X509Certificate(certificate.cert).raw).digest('base64url') }

  const prove = (method: string, path: string, token: string, { claims, header, key }: ProofOptions = {}) => {
    const ath = createHash('sha256').update(token).digest('base64url')
    const payload = {
      htm: method,
      htu: `${apiOrigin}${path.split('?')[0]}`,
      iat: Math.floor(Date.now() / 1000),
      jti: randomUUID(),
      ath,
      ...claims,
    }
    return new SignJWT(JSON.parse(JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk, ...header })
      .sign(key ?? keys.privateKey, { crit: { exp: true } })
  }

  const send = async (method: string, path: string, request: Request = {}): Promise<Answer> => {
    const {
      token,
      scheme = binding === 'dpop' ? 'DPoP' : 'Bearer',
      body,
      raw = body === undefined ? undefined : JSON.stringify(body),
    } = request
    const proof = 'proof' in request ? request.proof : token && binding === 'dpop' ? await prove(method, path, token) : undefined
    const headers = {
      host: 'localhost',
      ...(token && { authorization: `${scheme} ${token}` }),
      ...(proof && { dpop: proof }),
      ...(raw !== undefined && { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(raw)) }),
      ...request.headers,
    }
    const answer = await exchange({ port, agent, method, path, headers, raw })
    onAnswer?.(method, path, answer)
    return answer
  }
  return { binding, cnf, jwk, keys, prove, send, close: () => agent.destroy() }
}

type Exchange = {
  port: number
  agent: https.Agent
  method: string
  path: string
  headers: NonNullable<Request['headers']>
  raw: string | Buffer | undefined
}

function exchange({ port, agent, method, path, headers, raw }: Exchange): Promise<Answer> {
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : typeof value === 'string' ? [name, value] : value.flatMap((one) => [name, one]),
  )
  return new Promise((resolve, reject) => {
    const request = https.request({ host: 'localhost', port, agent, method, path, headers: lines, servername: 'localhost' }, (response) => {
      text(response).then((received) => {
        const isJson = /json/.test(response.headers['content-type'] ?? '')
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: received,
          body: isJson ? JSON.parse(received) : undefined,
        })
      }, reject)
    })
    request.once('error', reject)
    request.end(raw)
  })
}
