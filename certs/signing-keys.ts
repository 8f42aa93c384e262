import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { calculateJwkThumbprint, type JWK } from 'jose'

const generate = promisify(generateKeyPair)

export type SigningAlgorithm = keyof typeof makers
export type PrivateKeySet = { readonly keys: readonly JWK[] }

const makers = {
  ES256: () => generate('ec', { namedCurve: 'P-256' }),
  PS256: () => generate('rsa', { modulusLength: 2048 }),
  EdDSA: () => generate('ed25519'),
} as const

/** All that FAPI 2.0 clients and servers sign with. FAPI 1.0 knows the first two only. */
export const signingAlgorithms: readonly SigningAlgorithm[] = ['ES256', 'PS256', 'EdDSA']

/** One key for each algorithm, in their order. */
export async function createSigningKeys(algorithms = signingAlgorithms): Promise<PrivateKeySet> {
  return { keys: await Promise.all(algorithms.map(createSigningKey)) }
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
