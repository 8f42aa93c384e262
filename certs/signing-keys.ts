import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { calculateJwkThumbprint, type JWK } from 'jose'

const generate = promisify(generateKeyPair)

export type PrivateKeySet = { readonly keys: readonly JWK[] }

/** One key for each algorithm that FAPI 2.0 clients and servers sign with. The key id is the thumbprint of RFC 7638. */
export async function createSigningKeys(): Promise<PrivateKeySet> {
  const [elliptic, rsa] = await Promise.all([generate('ec', { namedCurve: 'P-256' }), generate('rsa', { modulusLength: 2048 })])
  return {
    keys: await Promise.all([
      describe(elliptic.privateKey.export({ format: 'jwk' }), 'ES256'),
      describe(rsa.privateKey.export({ format: 'jwk' }), 'PS256'),
    ]),
  }
}

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi']

/** What may be published of a set. */
export function publicKeys({ keys }: PrivateKeySet): PrivateKeySet {
  return { keys: keys.map((key) => Object.fromEntries(Object.entries(key).filter(([member]) => !privateMembers.includes(member)))) }
}

async function describe(key: object, alg: 'ES256' | 'PS256'): Promise<JWK> {
  const jwk = key as JWK
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), use: 'sig', alg }
}
