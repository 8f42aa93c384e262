import { randomUUID } from 'node:crypto'
import type { IncomingMessage, RequestListener } from 'node:http'
import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import type { Clock } from '@bankside/service-kit/clock'
import { hasTooManyHeaders, refuseMalformed } from '@bankside/service-kit/tls-server'
import { hardening } from './send.ts'

/**
 * Answers what never reaches a route: what is no HTTP, and HTTP that two readers could understand as two things. No body, but
 * the headers of every other answer, an interaction id among them (RW-H-02, NAT-A9).
 */
export function refuseUnroutable(server: Server, clock: Clock): void {
  // Node would answer these two itself, without any header of ours.
  Object.assign(server, { requireHostHeader: false })
  server.removeAllListeners('checkExpectation')
  server.on('checkExpectation', (_request, response) => response.writeHead(417, { ...headers(), connection: 'close' }).end())

  server.removeAllListeners('clientError')
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const end = (answer: string) => socket.end(answer.replace('\r\n', `\r\n${headerLines(clock)}`))
    refuseMalformed(error, { writable: socket.writable, end: end as Socket['end'], destroy: () => socket.destroy() })
  })
  server.on('connect', (_request: IncomingMessage, socket: Socket) => {
    socket.on('error', () => socket.destroy())
    socket.end(
      `HTTP/1.1 405 Method Not Allowed\r\n${headerLines(clock)}Allow: GET, POST, DELETE\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    )
  })
}

/** Lets through what has one meaning, with its target as a path: the authority of `GET https://host/path` is as little trusted as `Host`. */
export function onlyRoutable(handler: RequestListener): RequestListener {
  return (request, response) => {
    const path = hasTooManyHeaders(request) || isAmbiguous(request) ? undefined : pathOf(request.url ?? '')
    if (path === undefined) {
      response.writeHead(hasTooManyHeaders(request) ? 431 : 400, { ...headers(), connection: 'close', 'content-length': 0 }).end()
      return
    }
    request.url = path
    handler(request, response)
  }
}

/** RFC 9112 sections 2.3, 3.2 and 6.1: no known version, no or several hosts, a body that older readers would end elsewhere. */
function isAmbiguous({ httpVersion, headers, headersDistinct }: IncomingMessage): boolean {
  const hosts = headersDistinct['host']?.length ?? 0
  const encoding = headers['transfer-encoding']
  if (httpVersion === '1.0') return hosts > 1 || encoding !== undefined
  return httpVersion !== '1.1' || hosts !== 1 || (encoding !== undefined && encoding.toLowerCase() !== 'chunked')
}

function pathOf(target: string): string | undefined {
  if (target.startsWith('/')) return target.includes('#') ? undefined : target
  return /^https?:\/\/[^/?#]+(\/[^#]*)$|^(\*)$/i.exec(target)?.slice(1).find(Boolean)
}

const headers = () => ({ 'x-fapi-interaction-id': randomUUID(), ...hardening })

function headerLines(clock: Clock): string {
  const all = { date: clock.now().toUTCString(), ...headers() }
  return Object.entries(all)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
}
