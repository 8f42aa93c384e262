import type { RequestListener } from 'node:http'
import https from 'node:https'

export type ServerTls = {
  readonly certificates: readonly { readonly key: string; readonly cert: string }[]
  readonly clientCa: string
}

/** The product's cipher list and versions, so that neither side encrypts more cheaply than the other. */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
].join(':')

/** Listens with an RSA and an EC certificate; `askForCertificate` makes it the mTLS kind of listener. */
export async function serve(listener: RequestListener, port: number, tls: ServerTls, askForCertificate: boolean): Promise<https.Server> {
  const options = {
    key: tls.certificates.map(({ key }) => key),
    cert: tls.certificates.map(({ cert }) => cert),
    minVersion: 'TLSv1.2' as const,
    ciphers,
    ...(askForCertificate ? { ca: tls.clientCa, requestCert: true, rejectUnauthorized: false } : {}),
  }
  const server = https.createServer(options, listener)
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return server
}

/** A child of the bench: takes its settings as the first message, says when it listens, ends when the bench does. */
export function runPeer<Settings>(start: (settings: Settings) => Promise<void>): void {
  process.once('message', (settings) => {
    start(settings as Settings).then(
      () => process.send?.({ ready: true }),
      (error: unknown) => {
        process.stderr.write(`${String(error instanceof Error ? error.stack : error)}\n`)
        process.exit(1)
      },
    )
  })
  process.once('disconnect', () => process.exit(0))
  process.once('SIGTERM', () => process.exit(0))
  // Ctrl-C reaches the whole process group: the bench ends its children itself, after it has reported.
  process.on('SIGINT', () => undefined)
}
