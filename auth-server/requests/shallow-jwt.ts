import { errors } from 'oidc-provider'
import { isPlain } from '../signatures/remembered-jose.ts'
import type { Parameters } from './request-parameters.ts'

/** Several times what claims and details need. What is deeper than thousands can be read but not written, and so is a fault. */
const deepest = 16

/**
 * The library copies what is in these JWTs before it has verified them.
 *
 * @throws {InvalidRequestObject} or, for an assertion, {@link InvalidClientAuth}.
 */
export function assertShallowJwts(_oidc: unknown, { request, client_assertion }: Parameters): void {
  if (isTooDeep(request)) throw new errors.InvalidRequestObject(`it must be nested at most ${deepest} deep`)
  if (isTooDeep(client_assertion)) throw new errors.InvalidClientAuth(`the assertion must be nested at most ${deepest} deep`)
}

function isTooDeep(jwt: unknown): boolean {
  if (typeof jwt !== 'string' || isPlain(jwt)) return false
  const [header = '', payload = ''] = jwt.split('.')
  return [header, payload].some((part) => {
    const json = Buffer.from(part, 'base64url')
    return hasMoreOpeningThan(deepest, json) && depthOf(json) > deepest
  })
}

/** Nearly all have a few: those need no closer look. */
function hasMoreOpeningThan(most: number, json: Buffer): boolean {
  let found = 0
  for (const character of ['{', '['])
    for (let at = json.indexOf(character); at >= 0; at = json.indexOf(character, at + 1)) if (++found > most) return true
  return false
}

/** Brackets inside of texts count too: that is more than there is, never less. */
function depthOf(json: Buffer): number {
  let depth = 0
  let reached = 0
  for (let at = 0; at < json.length; at++) {
    // Brackets and braces differ in one bit: it is set in both.
    const character = (json[at] as number) | 0x20
    if (character === opens) reached = Math.max(reached, ++depth)
    else if (character === closes) depth -= 1
  }
  return reached
}

const opens = '{'.charCodeAt(0)
const closes = '}'.charCodeAt(0)
