import { type Expiring, endOfRing } from '@bankside/service-kit/expiry'
import { isRing, type KeyMaterial } from './key-material.ts'

/** When there is nothing left to sign with, by algorithm, and of each list of secrets: for whoever forgot to rotate. */
export function keyExpiry({ SIGNING_KEYS, SECRETS, NOTIFICATION_KEYS }: KeyMaterial): readonly Expiring[] {
  const algorithms = [...new Set(SIGNING_KEYS.keys.map(({ alg }) => alg))]
  return [
    ...algorithms.flatMap((alg) =>
      endOfRing(
        `signing key ${alg}`,
        SIGNING_KEYS.keys.filter((key) => key.alg === alg),
      ),
    ),
    ...endOfRing('NOTIFICATION_KEYS', NOTIFICATION_KEYS),
    ...Object.entries(SECRETS).flatMap(([name, ring]) => (isRing(ring) ? endOfRing(name, ring) : [])),
  ]
}
