import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { assets } from '../assets.ts'
import { states } from '../gallery-states.ts'

/** As strict as the authorization server's own; there the third party's origin is added to `form-action`. */
const contentSecurityPolicy =
  "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

export type StatesServer = {
  readonly origin: string
  /** The forms received so far. */
  readonly received: URLSearchParams[]
  close(): void
}

/** Serves the gallery's pages at `/<name of state>` for the tests, with the headers and files that customers get. */
export async function serveStates(): Promise<StatesServer> {
  const received: URLSearchParams[] = []
  const server = createServer((request, response) => {
    if (request.method === 'POST') void receive(request, response, received)
    else answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return { origin: `http://127.0.0.1:${port}`, received, close }
}

function answer({ url = '/' }: IncomingMessage, response: ServerResponse): void {
  const asset = assets.get(url)
  const page = states[url.slice(1)]
  if (asset)
    response.writeHead(200, { 'content-type': asset.contentType, 'cache-control': 'public, max-age=31536000, immutable' }).end(asset.body)
  else if (page)
    response
      .writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': contentSecurityPolicy })
      .end(String(page()))
  else response.writeHead(404).end()
}

async function receive(request: IncomingMessage, response: ServerResponse, received: URLSearchParams[]): Promise<void> {
  let body = ''
  for await (const chunk of request) body += chunk
  received.push(new URLSearchParams(body))
  response.writeHead(303, { location: '/done' }).end()
}
