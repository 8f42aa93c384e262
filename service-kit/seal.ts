import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'

const keyLength = 32
const nonceLength = 12
const tagLength = 16
const algorithm = 'aes-256-gcm'

/**
 * Encrypts a column's value: key id (1 byte), nonce, ciphertext, tag. `context` says where the value belongs, for example
 * `customers.customer/cus_…/totp_secret`: a value copied to another row or column does not open.
 */
export function seal(key: Uint8Array, plaintext: string | Uint8Array, context: string): Buffer {
  const nonce = randomBytes(nonceLength)
  const cipher = createCipheriv(algorithm, checked(key), nonce, { authTagLength: tagLength }).setAAD(Buffer.from(context))
  const sealed = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return Buffer.concat([Buffer.of(sealingKeyId(key)), nonce, sealed, cipher.getAuthTag()])
}

/**
 * @param keys the current one and those it replaced. Bytes that none of them sealed for this context are one error,
 * whatever is wrong with them.
 */
export function unseal(keys: Uint8Array | readonly Uint8Array[], sealed: Uint8Array, context: string): Buffer {
  const bytes = Buffer.from(sealed)
  const ring = keys instanceof Uint8Array ? [keys] : keys
  for (const key of ring.filter((candidate) => sealingKeyId(candidate) === bytes[0])) {
    const opened = open(checked(key), bytes, context)
    if (opened !== undefined) return opened
  }
  throw new Error('a sealed value does not open')
}

function open(key: Uint8Array, sealed: Buffer, context: string): Buffer | undefined {
  if (sealed.length < 1 + nonceLength + tagLength) return undefined
  const decipher = createDecipheriv(algorithm, key, sealed.subarray(1, 1 + nonceLength), { authTagLength: tagLength })
  decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(-tagLength))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(1 + nonceLength, -tagLength)), decipher.final()])
  } catch {
    return undefined
  }
}

/** What everything begins with that a key sealed. Follows from the key, so that no configuration can give two keys one id by mistake; two that share one are both tried. */
export function sealingKeyId(key: Uint8Array): number {
  return createHash('sha256').update('key id').update(key).digest()[0] as number
}

function checked(key: Uint8Array): Uint8Array {
  if (key.length !== keyLength) throw new Error(`a sealing key has ${keyLength} bytes`)
  return key
}
