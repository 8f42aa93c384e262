import { createHash, createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { onceForEach } from '@bankside/service-kit/remembered'

/** Where something is stored: the model, and the key of its row. */
export type Place = readonly [model: string, key: string]

/**
 * Seals on what this server stores, so that nobody makes or changes it who has only the database. They do not hide anything,
 * and what was sealed once is good for as long as it is there: that it was used up or taken back stands beside it.
 */
export type StoredSeals = {
  /** The text with its seal in front, for this place and no other. */
  seal(place: Place, text: string): string
  /** The text, if one of our keys sealed it for this place. */
  open(place: Place, sealed: string): string | undefined
  /** The seal alone, for a text that is stored beside it. */
  sign(place: Place, text: string): string
  isSigned(place: Place, text: string, seal: string): boolean
  /** What everything begins with that the newest key sealed. */
  readonly newest: string
}

const keyIdLength = 4
const macLength = 43

type SealKey = { readonly id: string; readonly key: KeyObject }

/**
 * HMAC-SHA-256.
 *
 * @param secrets The one that seals first; what another one sealed still opens.
 */
export const storedSeals = onceForEach(
  (secrets: readonly Buffer[]): StoredSeals => sealsWith(secrets.map((secret) => ({ id: idOf(secret), key: createSecretKey(secret) }))),
)

function sealsWith(keys: readonly SealKey[]): StoredSeals {
  const [first] = keys
  if (first === undefined) throw new Error('a seal needs a key')
  const sign = (place: Place, text: string) => first.id + macOf(first, place, text)
  const isSigned = (place: Place, text: string, seal: string) =>
    keys.some((key) => seal.startsWith(key.id) && isSame(macOf(key, place, text), seal.slice(keyIdLength)))
  return {
    newest: first.id,
    sign,
    isSigned,
    seal: (place, text) => sign(place, text) + text,
    open(place, sealed) {
      const text = sealed.slice(keyIdLength + macLength)
      return isSigned(place, text, sealed.slice(0, keyIdLength + macLength)) ? text : undefined
    },
  }
}

/** No model and no key of a row holds a zero byte, so no two places and texts are one. */
const macOf = ({ key }: SealKey, [model, id]: Place, text: string): string =>
  createHmac('sha256', key).update(`${model}\0${id}\0${text}`).digest('base64url')

function isSame(expected: string, given: string): boolean {
  const [one, other] = [Buffer.from(expected), Buffer.from(given)]
  return one.length === other.length && timingSafeEqual(one, other)
}

/** Follows from the key; of two that share one, the right one is found. */
const idOf = (secret: Buffer): string => createHash('sha256').update('seal key id').update(secret).digest('base64url').slice(0, keyIdLength)
