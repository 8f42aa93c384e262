import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'
import { onceForEach, remembered } from '@bankside/service-kit/remembered'

/** What Koa and the library ask of whatever signs their cookies (the interface of `keygrip`); tokens in forms are signed the same way. */
export type KeyedSignatures = {
  sign(data: string): string
  verify(data: string, signature: string): boolean
  /** Which key made the signature: the one that signs is 0, and -1 is none. A cookie of another one is signed anew when it is read. */
  index(data: string, signature: string): number
}

/**
 * HMAC-SHA-256 with keys that are imported once. The library would import a key for each signature and compare two by
 * signing both again with a random one: together four HMACs, and eight imports, where one and none are enough. A cookie that is read is
 * usually given again with the answer, so what was signed lately is remembered; it is compared as what was just made.
 *
 * @param secrets The one that signs first.
 */
export const keyedSignatures = onceForEach(signaturesWith)

/** Several times as long as a cookie of ours. */
const remembering = { atMost: 512, lengthAtMost: 512 }

function signaturesWith(secrets: readonly string[]): KeyedSignatures {
  const signers = secrets.map(signerWith)
  const [sign] = signers
  if (sign === undefined) throw new Error('signatures need a key')
  const index = (data: string, signature: string) => signers.findIndex((signatureOf) => isSame(signatureOf(data), signature))
  return { sign, verify: (data, signature) => index(data, signature) >= 0, index }
}

function signerWith(secret: string): (data: string) => string {
  const key = createSecretKey(secret, 'utf8')
  return remembered((data) => createHmac('sha256', key).update(data).digest('base64url'), remembering)
}

function isSame(expected: string, given: string): boolean {
  const [one, other] = [Buffer.from(expected), Buffer.from(given)]
  return one.length === other.length && timingSafeEqual(one, other)
}
