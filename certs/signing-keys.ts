import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { calculateJwkThumbprint, type JWK } from 'jose'

const generate = promisify(generateKeyPair)

export type SigningAlgorithm = 'ES256' | 'PS256'
export type PrivateKeySet = { readonly keys: readonly JWK[] }

/** One key for each algorithm that FAPI 2.0 clients and servers sign with, the preferred one first. The key id is the thumbprint of RFC 7638. */
export async function createSigningKeys(preferred: SigningAlgorithm = 'ES256'): Promise<PrivateKeySet> {
  const [elliptic, rsa] = await Promise.all([generate('ec', { namedCurve: 'P-256' }), generate('rsa', { modulusLength: 2048 })])
  const keys = await Promise.all([
    describe(elliptic.privateKey.export({ format: 'jwk' }), 'ES256'),
    describe(rsa.privateKey.export({ format: 'jwk' }), 'PS256'),
  ])
  return { keys: preferred === 'ES256' ? keys : keys.reverse() }
}

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi']

/** What may be published of a set. */
export function publicKeys({ keys }: PrivateKeySet): PrivateKeySet {
  return { keys: keys.map((key) => Object.fromEntries(Object.entries(key).filter(([member]) => !privateMembers.includes(member)))) }
}

async function describe(key: object, alg: SigningAlgorithm): Promise<JWK> {
  const jwk = key as JWK
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), use: 'sig', alg }
}
