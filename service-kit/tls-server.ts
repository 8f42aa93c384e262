import { constants } from 'node:crypto'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import https from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export type ServerCertificate = { readonly key: string; readonly cert: string }

export type TlsServerOptions = {
  /** One for each kind of key, in PEM: an RSA one for every client there is, an elliptic one for speed with TLS 1.3. */
  readonly certificates: readonly ServerCertificate[]
  /** PEM. Client certificates that do not chain to it still connect, and are told apart by `socket.authorized`. */
  readonly clientCa?: string
  /** Node decides this for a listener, not for a host name; a browser that is asked shows its user a prompt. */
  readonly requestClientCertificate: boolean
  /**
   * A request without a body has no stream of one, which is a seventh of what Node does for it: it says at once that it has ended
   * (`readableEnded`), and no event does. For handlers that reckon with it.
   */
  readonly bodilessRequestsAreEnded?: boolean
}

/**
 * RFC 9325 section 4.2: forward secrecy and authenticated encryption only. For TLS 1.2, of those the two that FAPI 1.0
 * section 8.5 permits as well, so that one listener serves clients of every profile: the elliptic certificate is for TLS 1.3.
 */
const cipherSuites = [
  ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'],
  ...['ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES256-GCM-SHA384'],
].join(':')

/** No SHA-1, nothing below 128 bits of strength; also what client certificates may be signed with. */
const signatureAlgorithms = [
  ...['ecdsa_secp256r1_sha256', 'ecdsa_secp384r1_sha384', 'ed25519'],
  ...[
    'rsa_pss_rsae_sha256',
    'rsa_pss_rsae_sha384',
    'rsa_pss_rsae_sha512',
    'rsa_pss_pss_sha256',
    'rsa_pkcs1_sha256',
    'rsa_pkcs1_sha384',
    'rsa_pkcs1_sha512',
  ],
].join(':')

/** Longer than the 60 s after which load balancers usually close, so that they, not we, give a connection up. */
export const keepAliveSeconds = 65

export const limits = {
  maxHeaderSize: 16_384,
  /** Several times what a browser and two proxies write. */
  maxHeaders: 100,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  handshakeTimeout: 10_000,
  maxConnections: 10_000,
  resumeSessionsForSeconds: 300,
} as const

/** An HTTPS server for TLS 1.2 and 1.3. Malformed requests are answered by {@link refuseMalformed}, before any handler. */
export function createTlsServer(options: TlsServerOptions, handler: RequestListener): https.Server {
  const server = https.createServer(
    {
      key: options.certificates.map(({ key }) => key),
      cert: options.certificates.map(({ cert }) => cert),
      ...(options.clientCa !== undefined && { ca: options.clientCa }),
      requestCert: options.requestClientCertificate,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      ciphers: cipherSuites,
      sigalgs: signatureAlgorithms,
      ecdhCurve: 'X25519:P-256:P-384',
      honorCipherOrder: true,
      ALPNProtocols: ['http/1.1'],
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
      sessionTimeout: limits.resumeSessionsForSeconds,
      handshakeTimeout: limits.handshakeTimeout,
      maxHeaderSize: limits.maxHeaderSize,
      headersTimeout: limits.headersTimeout,
      requestTimeout: limits.requestTimeout,
      keepAliveTimeout: keepAliveSeconds * 1_000,
      optimizeEmptyRequests: options.bodilessRequestsAreEnded ?? false,
    },
    handler,
  )
  server.maxConnections = limits.maxConnections
  // Node would drop what is more, without a word: one more shows that there was more.
  server.maxHeadersCount = limits.maxHeaders + 1
  server.on('clientError', refuseMalformed)
  server.on('checkExpectation', refuseExpectation)
  return server
}

const answers = new Map([
  ['HPE_HEADER_OVERFLOW', '431 Request Header Fields Too Large'],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', '413 Content Too Large'],
  ['ERR_HTTP_REQUEST_TIMEOUT', '408 Request Timeout'],
])

/** What is not HTTP has no route, so the answer has no body: 431 for headers that are too long, 408 for slow ones, else 400. */
export function refuseMalformed(error: NodeJS.ErrnoException, socket: Pick<Socket, 'writable' | 'end' | 'destroy'>): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  socket.end(`HTTP/1.1 ${answers.get(error.code ?? '') ?? '400 Bad Request'}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

/** For handlers to refuse: a request of which part was dropped is not the one that was sent. */
export const hasTooManyHeaders = ({ rawHeaders }: IncomingMessage): boolean => rawHeaders.length / 2 > limits.maxHeaders

const refuseExpectation: RequestListener = (_request: IncomingMessage, response) => {
  response.writeHead(417, { Connection: 'close' }).end()
}

/** @returns the port, which the system chose if 0 was asked for. */
export function listen(server: Server | https.Server, { port, address }: { port: number; address: string }): Promise<number> {
  return new Promise((listening, failed) => {
    server.once('error', failed)
    server.listen(port, address, () => {
      server.off('error', failed)
      listening((server.address() as AddressInfo).port)
    })
  })
}

/** Stops accepting, lets running requests finish for a while, then closes what is left. */
export async function drain(server: Server | https.Server, { limitMs }: { limitMs: number }): Promise<void> {
  let closed = false
  const closing = new Promise<void>((done) => server.close(() => done())).then(() => (closed = true))
  for (const deadline = performance.now() + limitMs; !closed && performance.now() < deadline; await Promise.race([closing, sleep(50)])) {
    // A connection becomes idle when its request is answered; nobody else would close it before its keep-alive ends.
    server.closeIdleConnections()
  }
  if (!closed) server.closeAllConnections()
  await closing
}
