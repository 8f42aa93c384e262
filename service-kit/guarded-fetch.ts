import { lookup } from 'node:dns/promises'
import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { isIP } from 'node:net'
import { isPublicAddress } from './public-address.ts'

export type OutboundFailure = 'not_allowed' | 'unreachable' | 'too_slow' | 'too_large' | 'redirected' | 'busy'

/** Why a request to somebody else's address was not made, or its answer not taken. The message holds no part of the answer. */
export class OutboundError extends Error {
  override name = 'OutboundError'
  readonly code: OutboundFailure

  constructor(code: OutboundFailure, message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.code = code
  }
}

export type GuardedFetchOptions = {
  /** PEM: whom to trust instead of the authorities that come with Node. */
  readonly ca?: string | undefined
  /** PEM: what is shown to whoever asks for a certificate. */
  readonly credential?: { readonly cert: string; readonly key: string } | undefined
  /** `host` or `host:port`: names of the operator's own that may lead to addresses which are not public. */
  readonly privateHosts?: readonly string[] | undefined
  readonly timeoutMs?: number
  readonly maxBytes?: number
  /** For what is signed by whoever made it, and needs no secret kept. */
  readonly allowHttp?: boolean
  readonly resolve?: (hostname: string) => Promise<readonly string[]>
}

/** Fits where a WHATWG `fetch` is asked for: what it does not read of the options, nobody may rely on. */
export type GuardedFetch = (url: string | URL, init?: GuardedInit) => Promise<Response>
export type GuardedInit = {
  readonly method?: string | undefined
  readonly headers?: ConstructorParameters<typeof Headers>[0] | undefined
  /** Bytes as they are, anything else as text. */
  readonly body?: unknown
  readonly signal?: AbortSignal | null | undefined
}

const defaultTimeoutMs = 2_500
const defaultMaxBytes = 64 * 1024
const headersAtMostBytes = 8 * 1024
const urlAtMostLength = 2_048
const requestsAtOnce = 64

/**
 * Asks an address that somebody else gave us, so that it leads nowhere but out: https only, a host whose every address is
 * public, connected to by the address that was looked at (a name that changes its mind in between gains nothing), no
 * redirect, and neither the time nor the size of the answer is up to whoever answers.
 *
 * @throws {OutboundError}
 */
export function createGuardedFetch(options: GuardedFetchOptions = {}): GuardedFetch {
  const { timeoutMs = defaultTimeoutMs, maxBytes = defaultMaxBytes } = options
  let running = 0
  return async (address, init = {}) => {
    if (running >= requestsAtOnce) throw new OutboundError('busy', 'too many requests to others are under way')
    running++
    const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(init.signal ? [init.signal] : [])])
    try {
      const url = allowedUrl(address, options.allowHttp === true)
      const addresses = await beforeAborted(allowedAddresses(url, options), signal)
      const response = await answered(send(url, addresses, { ...init, ca: options.ca, credential: options.credential, signal }))
      return await whole(response, maxBytes)
    } catch (error) {
      throw failure(error, signal)
    } finally {
      running--
    }
  }
}

function allowedUrl(address: string | URL, allowHttp: boolean): URL {
  const url = String(address).length > urlAtMostLength ? null : URL.parse(String(address))
  if (url === null) throw new OutboundError('not_allowed', 'not a URL')
  if (url.protocol !== 'https:' && !(allowHttp && url.protocol === 'http:')) throw new OutboundError('not_allowed', 'only https is asked')
  if (url.username !== '' || url.password !== '') throw new OutboundError('not_allowed', 'a URL with a user is not asked')
  return url
}

async function allowedAddresses(url: URL, { privateHosts = [], resolve = resolveHost }: GuardedFetchOptions): Promise<readonly string[]> {
  const host = hostOf(url)
  const addresses = isIP(host) === 0 ? await resolve(host) : [host]
  if (addresses.length === 0) throw new OutboundError('unreachable', 'the host has no address')
  const mayBePrivate = privateHosts.some(
    (own) => own === host || own === `${host}:${url.port || (url.protocol === 'https:' ? '443' : '80')}`,
  )
  if (!mayBePrivate && !addresses.every(isPublicAddress))
    throw new OutboundError('not_allowed', 'the host has an address that is not public')
  return addresses
}

/** As {@link GuardedFetchOptions.privateHosts} name it: without brackets or the dot of the root. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')

async function resolveHost(hostname: string): Promise<readonly string[]> {
  return (await lookup(hostname, { all: true, verbatim: true })).map(({ address }) => address)
}

type Sending = GuardedInit & Pick<GuardedFetchOptions, 'ca' | 'credential'> & { readonly signal: AbortSignal }

function send(url: URL, addresses: readonly string[], { method = 'GET', headers, body, ca, credential, signal }: Sending): ClientRequest {
  const found = addresses.map((address) => ({ address, family: isIP(address) }))
  const given = new Headers(headers)
  given.delete('host')
  given.set('accept-encoding', 'identity')
  const sent = body === undefined || body instanceof Uint8Array ? body : String(body)
  const request = (url.protocol === 'https:' ? https : http).request(url, {
    method,
    headers: { ...Object.fromEntries(given), ...(sent !== undefined && { 'content-length': Buffer.byteLength(sent) }) },
    lookup: (_hostname, { all }, done) => (all ? done(null, found) : done(null, found[0]?.address ?? '', found[0]?.family)),
    ...(ca !== undefined && { ca }),
    ...credential,
    minVersion: 'TLSv1.2',
    agent: false,
    maxHeaderSize: headersAtMostBytes,
    signal,
  })
  request.end(sent)
  return request
}

function answered(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve)
    request.once('error', reject)
  })
}

async function whole(response: IncomingMessage, maxBytes: number): Promise<Response> {
  const { statusCode: status = 0, headers } = response
  try {
    if (status >= 300 && status < 400) throw new OutboundError('redirected', 'redirects are not followed')
    if (Number(headers['content-length'] ?? 0) > maxBytes)
      throw new OutboundError('too_large', `the answer has more than ${maxBytes} bytes`)
    const body = await bodyOf(response, maxBytes)
    const told = new Headers(Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])))
    return new Response([204, 205].includes(status) ? null : body, { status, headers: told })
  } finally {
    response.destroy()
  }
}

async function bodyOf(response: IncomingMessage, maxBytes: number): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response) {
    length += (chunk as Buffer).length
    if (length > maxBytes) throw new OutboundError('too_large', `the answer has more than ${maxBytes} bytes`)
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}

/** A resolver cannot be told to stop: it is left behind. */
function beforeAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason)
    signal.addEventListener('abort', aborted, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
  })
}

function failure(error: unknown, signal: AbortSignal): OutboundError {
  if (error instanceof OutboundError) return error
  if (signal.aborted) return new OutboundError('too_slow', 'there was no whole answer in time', { cause: error })
  return new OutboundError('unreachable', 'the host did not answer', { cause: error })
}
