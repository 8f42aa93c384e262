import { styleText } from 'node:util'
import type { Page } from 'playwright-core'
import type { Exchange } from '../third-party/exchange.ts'

const shownHeaders = [
  'authorization',
  'dpop',
  'x-idempotency-key',
  'x-fapi-interaction-id',
  'www-authenticate',
  'location',
  'retry-after',
  'dpop-nonce',
]
const bodyLimit = 1400
const secretFields = /^(client_assertion|code|code_verifier|access_token|refresh_token|id_token|password|page_token|request_uri)$/

/** `--trace`: each request and its answer, with whatever opens a door shortened. */
export function printExchange(exchange: Exchange): void {
  print('→', `${exchange.method} ${shortenUrl(exchange.url)}`)
  printHeaders(Object.entries(exchange.requestHeaders))
  printBody(exchange.requestBody, exchange.requestHeaders['content-type'] ?? '')
  print('←', `${exchange.status} in ${Math.round(exchange.durationMs)} ms`)
  printHeaders(exchange.responseHeaders.entries())
  printBody(exchange.responseBody, exchange.responseHeaders.get('content-type') ?? '')
}

/** The same for what the customer's browser does; never what was typed. */
export function traceBrowser(page: Page): void {
  page.on('response', (response) => {
    const request = response.request()
    if (request.resourceType() !== 'document') return
    print('⇢', `browser ${request.method()} ${shortenUrl(request.url())}`)
    const location = response.headers()['location']
    print('⇠', `${response.status()}${location ? ` → ${shortenUrl(location)}` : ''}`)
  })
}

function printHeaders(headers: Iterable<readonly [string, string]>): void {
  for (const [name, value] of headers) if (shownHeaders.includes(name.toLowerCase())) print(' ', `${name}: ${shorten(value)}`)
}

function printBody(body: string, contentType: string): void {
  if (body === '') return
  const lines = contentType.includes('json')
    ? JSON.stringify(JSON.parse(body), shortenField, 2)
    : contentType.includes('form')
      ? formLines(body)
      : body
  for (const line of lines.slice(0, bodyLimit).split('\n')) print(' ', line)
  if (lines.length > bodyLimit) print(' ', `… ${lines.length - bodyLimit} characters more`)
}

const formLines = (body: string) => [...new URLSearchParams(body)].map(([name, value]) => `${name}=${shortenField(name, value)}`).join('\n')

const shortenField = (name: string, value: unknown) => (typeof value === 'string' && secretFields.test(name) ? shorten(value, true) : value)

function shortenUrl(text: string): string {
  const url = URL.parse(text)
  if (url === null) return text
  for (const [name, value] of url.searchParams) if (secretFields.test(name)) url.searchParams.set(name, shorten(value, true))
  return decodeURIComponent(url.href)
}

/** Enough to tell two secrets apart, too little to use one. */
function shorten(text: string, always = false): string {
  return text.replace(/[A-Za-z0-9_.~+/=:-]+/g, (word) =>
    word.length > 40 || (always && word.length > 12) ? `${word.slice(0, 6)}…${word.slice(-4)}` : word,
  )
}

function print(sign: string, text: string): void {
  process.stdout.write(`${styleText('cyan', `        ${sign} ${text}`, { stream: process.stdout })}\n`)
}
