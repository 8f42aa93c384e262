import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { calculateJwkThumbprint, type JWK } from 'jose'

const generate = promisify(generateKeyPair)

export type SigningAlgorithm = keyof typeof makers
export type PrivateKeySet = { readonly keys: readonly JWK[] }

const makers = {
  ES256: () => generate('ec', { namedCurve: 'P-256' }),
  PS256: () => generate('rsa', { modulusLength: 2048 }),
} as const

/** One key for each algorithm that FAPI 2.0 clients and servers sign with, the preferred one first. */
export async function createSigningKeys(preferred: SigningAlgorithm = 'ES256'): Promise<PrivateKeySet> {
  const keys = await Promise.all((['ES256', 'PS256'] as const).map(createSigningKey))
  return { keys: preferred === 'ES256' ? keys : keys.reverse() }
}

/** The key id is the thumbprint of RFC 7638. */
export async function createSigningKey(alg: SigningAlgorithm): Promise<JWK> {
  const { privateKey } = await makers[alg]()
  const jwk = privateKey.export({ format: 'jwk' }) as JWK
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), use: 'sig', alg }
}

export const isSigningAlgorithm = (alg: unknown): alg is SigningAlgorithm => typeof alg === 'string' && Object.hasOwn(makers, alg)

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi']

/** What may be published of a set. */
export function publicKeys({ keys }: PrivateKeySet): PrivateKeySet {
  return { keys: keys.map((key) => Object.fromEntries(Object.entries(key).filter(([member]) => !privateMembers.includes(member)))) }
}
