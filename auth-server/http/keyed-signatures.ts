import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'

/** What Koa and the library ask of whatever signs their cookies (the interface of `keygrip`); tokens in forms are signed the same way. */
export type KeyedSignatures = {
  sign(data: string): string
  verify(data: string, signature: string): boolean
  /** Which key made the signature: the one that signs is 0, and -1 is none. A cookie of another one is signed anew when it is read. */
  index(data: string, signature: string): number
}

/**
 * HMAC-SHA-256 with keys that are imported once. The library would import a key for each signature and compare two by
 * signing both again with a random one: together four HMACs, and eight imports, where one and none are enough.
 *
 * @param secrets The one that signs first.
 */
export function keyedSignatures(secrets: readonly string[]): KeyedSignatures {
  const found = known.get(secrets)
  if (found !== undefined) return found
  const made = signaturesWith(secrets)
  known.set(secrets, made)
  return made
}

const known = new WeakMap<readonly string[], KeyedSignatures>()

function signaturesWith(secrets: readonly string[]): KeyedSignatures {
  const keys = secrets.map((secret) => createSecretKey(secret, 'utf8'))
  const [first] = keys
  if (first === undefined) throw new Error('signatures need a key')
  const signatureOf = (key: typeof first, data: string) => createHmac('sha256', key).update(data).digest('base64url')
  const index = (data: string, signature: string) => keys.findIndex((key) => isSame(signatureOf(key, data), signature))
  return { sign: (data) => signatureOf(first, data), verify: (data, signature) => index(data, signature) >= 0, index }
}

function isSame(expected: string, given: string): boolean {
  const [one, other] = [Buffer.from(expected), Buffer.from(given)]
  return one.length === other.length && timingSafeEqual(one, other)
}
