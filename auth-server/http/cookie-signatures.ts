import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'

/** What Koa and the library ask of whatever signs their cookies (the interface of `keygrip`). */
export type CookieSignatures = {
  sign(data: string): string
  verify(data: string, signature: string): boolean
  /** Which key made the signature: the newest is 0, and -1 is none. A cookie of an older one is signed anew when it is read. */
  index(data: string, signature: string): number
}

/**
 * HMAC-SHA-256 with keys that are imported once. The library would import a key for each signature and compare two by
 * signing both again with a random one: together four HMACs, and eight imports, where one and none are enough.
 *
 * @param secrets The newest first.
 */
export function cookieSignatures(secrets: readonly string[]): CookieSignatures {
  const keys = secrets.map((secret) => createSecretKey(secret, 'utf8'))
  const [newest] = keys
  if (newest === undefined) throw new Error('cookies need a key')
  const signatureOf = (key: typeof newest, data: string) => createHmac('sha256', key).update(data).digest('base64url')
  const index = (data: string, signature: string) => keys.findIndex((key) => isSame(signatureOf(key, data), signature))
  return { sign: (data) => signatureOf(newest, data), verify: (data, signature) => index(data, signature) >= 0, index }
}

function isSame(expected: string, given: string): boolean {
  const [one, other] = [Buffer.from(expected), Buffer.from(given)]
  return one.length === other.length && timingSafeEqual(one, other)
}
