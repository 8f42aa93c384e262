import type { IncomingMessage } from 'node:http'
import { Refusal } from '@bankside/service-kit/refusal'
import type { PathStyle } from './parse-body.ts'
import { type RequestRefusal, refuseRequest, throwViolations, type Violation } from './request-refusal.ts'

export const bodyLimitBytes = 64 * 1024
const depthLimit = 32
const violationsLimit = 20

/**
 * Reads a request body as JSON that means the same to every reader: UTF-8, no name twice in an object, no `__proto__`,
 * only finite numbers, and only text that PostgreSQL's jsonb can hold (no NUL, no half of a surrogate pair).
 *
 * @throws {Refusal} `body_too_large`, `body_malformed`; {Violations} of `field_invalid` and `field_unexpected`.
 */
export async function readJson(request: IncomingMessage, style: PathStyle): Promise<unknown> {
  const text = decode(await readBytes(request))
  const value = parse(text)
  refuseAmbiguity(text, value)
  const violations: Violation[] = []
  checkValues(value, [], (code, path, message) => violations.push([code, style(path) || '.', message]))
  throwViolations(violations.slice(0, violationsLimit))
  return value
}

/** By its events: a loop over the stream would cost more than all that is done with the body. */
function readBytes(request: IncomingMessage): Promise<Buffer> {
  if (request.readableEnded) return Promise.resolve(Buffer.alloc(0))
  if (Number(request.headers['content-length'] ?? 0) > bodyLimitBytes) refuseTooLarge()
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const chunks: Buffer[] = []
  let length = 0
  request.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length <= bodyLimitBytes) chunks.push(chunk)
    else reject(tooLarge())
  })
  request.once('end', () => resolve(Buffer.concat(chunks)))
  // A client that goes away in the middle of its request is no fault of ours.
  const onGone = () => {
    if (!request.complete) reject(new Refusal<RequestRefusal>('body_malformed', 'the body ended early'))
  }
  request.once('error', onGone)
  request.once('close', onGone)
  return promise
}

const tooLarge = () => new Refusal<RequestRefusal>('body_too_large', `a body may have at most ${bodyLimitBytes} bytes`)

function refuseTooLarge(): never {
  throw tooLarge()
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch {
    return refuseRequest('body_malformed', 'the body is not UTF-8')
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return refuseRequest('body_malformed', 'the body is not JSON')
  }
}

/** `JSON.parse` keeps the last of two equal names, others keep the first: such a body means two things (RFC 8259 section 4). */
function refuseAmbiguity(validJson: string, parsed: unknown): void {
  // With a backslash a name can be written in several ways; nor does V8 13.6 always read such a name for what it is.
  if (validJson.includes('\\')) refuseRepeatedNames(validJson)
  else if (membersIn(parsed, 1) !== namesIn(validJson)) refuseRepeated()
}

function refuseRepeated(): never {
  return refuseRequest('body_malformed', 'a name occurs twice in one object')
}

function refuseTooDeep(): never {
  return refuseRequest('body_malformed', `the body is nested deeper than ${depthLimit} levels`)
}

const jsonToken = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:,]|[^\s"{}[\]:,]+/g

function refuseRepeatedNames(validJson: string): void {
  const open: (Set<string> | undefined)[] = []
  let previous = ''
  for (const [token] of validJson.matchAll(jsonToken)) {
    if (token === '{') open.push(new Set())
    else if (token === '[') open.push(undefined)
    else if (token === '}' || token === ']') open.pop()
    else if (token === ':') {
      const names = open.at(-1)
      const name: string = previous.includes('\\') ? JSON.parse(previous) : previous.slice(1, -1)
      if (names?.has(name)) refuseRepeated()
      names?.add(name)
    }
    if (open.length > depthLimit) refuseTooDeep()
    previous = token
  }
}

const [quote, colon] = [0x22, 0x3a]

/** How many names of members stand in a text without a backslash: as many as there are colons outside of strings. */
function namesIn(validJson: string): number {
  let names = 0
  for (let at = 0; at < validJson.length; at++) {
    const letter = validJson.charCodeAt(at)
    if (letter === colon) names++
    else if (letter === quote) at = validJson.indexOf('"', at + 1)
  }
  return names
}

function membersIn(value: unknown, depth: number): number {
  if (typeof value !== 'object' || value === null) return 0
  if (depth > depthLimit) refuseTooDeep()
  let members = 0
  for (const name of Object.keys(value)) {
    if (!Array.isArray(value)) members++
    members += membersIn((value as Record<string, unknown>)[name], depth + 1)
  }
  return members
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const controlCharacter = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/

type Report = (code: 'field_invalid' | 'field_unexpected', path: Path, message: string) => void
type Path = readonly (string | number)[]

/** The path is of the value that is looked at, and changes meanwhile. */
function checkValues(value: unknown, path: (string | number)[], report: Report): void {
  if (typeof value === 'string' && (controlCharacter.test(value) || !value.isWellFormed()))
    report('field_invalid', path, 'the text holds characters that are not supported')
  if (typeof value === 'number' && !Number.isFinite(value)) report('field_invalid', path, 'the number is out of range')
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) checkMember(index, item, path, report)
  } else if (typeof value === 'object' && value !== null) {
    for (const name of Object.keys(value)) {
      if (memberName.test(name) && name !== '__proto__') checkMember(name, (value as Record<string, unknown>)[name], path, report)
      else report('field_unexpected', path, 'a member has a name that is not supported')
    }
  }
}

function checkMember(name: string | number, member: unknown, path: (string | number)[], report: Report): void {
  path.push(name)
  checkValues(member, path, report)
  path.pop()
}

/** Names travel into messages and paths, so that they must be plain. */
const memberName = /^[\w .:@-]{1,100}$/
