import { once } from 'node:events'
import tls from 'node:tls'

export type Answer = { readonly status: number; readonly head: string; readonly body: string }
export type Connection = {
  /** Sends one request and waits for its whole answer. One at a time: a connection is one caller. */
  readonly send: (request: string) => Promise<Answer>
  /** What the handshake agreed on, so that two sides can be compared. */
  readonly negotiated: string
  readonly close: () => void
}
export type Credentials = { readonly ca: readonly string[]; readonly key?: string; readonly cert?: string }

const answerTimeoutMs = 30_000

/** A kept-alive HTTP/1.1 connection with as little client code around TLS as possible: it is not what is measured. */
export async function openConnection(origin: string, credentials: Credentials): Promise<Connection> {
  const { hostname, port } = new URL(origin)
  const socket = tls.connect({ host: '127.0.0.1', servername: hostname, port: Number(port), ...credentials, ca: [...credentials.ca] })
  await once(socket, 'secureConnect')
  socket.setNoDelay(true)
  let pending: Buffer = Buffer.alloc(0)
  let waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined
  const fail = (error: Error) => {
    const caller = waiting
    waiting = undefined
    caller?.reject(error)
  }
  socket.setTimeout(answerTimeoutMs, () => socket.destroy(new Error(`no answer from ${origin} within ${answerTimeoutMs} ms`)))
  socket.on('error', fail)
  socket.on('close', () => fail(new Error(`${origin} closed the connection`)))
  socket.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    const answer = parseAnswer(pending)
    if (answer === undefined) return
    pending = pending.subarray(answer.length)
    const caller = waiting
    waiting = undefined
    caller?.resolve(answer)
  })
  return {
    negotiated: `${socket.getProtocol()} ${socket.getCipher().name}`,
    send: (request) =>
      new Promise((resolve, reject) => {
        if (waiting !== undefined || socket.destroyed) return reject(new Error(`the connection to ${origin} is busy or closed`))
        waiting = { resolve, reject }
        socket.write(request)
      }),
    close: () => socket.destroy(),
  }
}

/** The first whole answer in `bytes` and how long it is, or undefined while part of it is missing. */
export function parseAnswer(bytes: Buffer): (Answer & { readonly length: number }) | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const head = bytes.toString('latin1', 0, headEnd)
  const status = Number(head.slice(9, 12))
  const start = headEnd + 4
  if (/\r\ntransfer-encoding: chunked/i.test(head)) {
    const whole = unchunk(bytes, start)
    return whole && { status, head, ...whole }
  }
  const size = status === 204 || status === 304 ? 0 : Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
  if (bytes.length < start + size) return undefined
  return { status, head, body: bytes.toString('utf8', start, start + size), length: start + size }
}

function unchunk(bytes: Buffer, from: number): { body: string; length: number } | undefined {
  const parts: Buffer[] = []
  for (let at = from; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (bytes.length < lineEnd + 2 + size + 2) return undefined
    if (size === 0) return { body: Buffer.concat(parts).toString(), length: lineEnd + 4 }
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
  }
}

export function header({ head }: Answer, name: string): string | undefined {
  return new RegExp(`\r\n${name}: ([^\r]*)`, 'i').exec(head)?.[1]
}

export type RequestParts = {
  readonly method: string
  readonly origin: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly form?: URLSearchParams | Readonly<Record<string, string>>
  readonly json?: unknown
}

export function formatRequest({ method, origin, path, headers = {}, form, json }: RequestParts): string {
  const body = form ? new URLSearchParams(form).toString() : json === undefined ? undefined : JSON.stringify(json)
  const type = form ? 'application/x-www-form-urlencoded' : 'application/json'
  const lines = [`${method} ${path} HTTP/1.1`, `host: ${new URL(origin).host}`]
  if (body !== undefined) lines.push(`content-type: ${type}`, `content-length: ${Buffer.byteLength(body)}`)
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`
}
