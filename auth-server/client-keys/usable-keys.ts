import type { JWK } from 'jose'
import { keyProblems } from '../client-policy/client-keys.ts'
import { profiles } from '../client-policy/profiles.ts'
import type { KeySet } from './key-sets.ts'

const maxKeys = 30

/**
 * The keys of a published set that verify signatures here. Sets hold keys for other banks and other uses too: what is weak, of
 * another kind or not public is left out, not a reason to lose the rest (FAPI2-CR-04, FAPI2-CR-05 at use).
 *
 * @throws for what is no key set.
 */
export function usableKeys(text: string): KeySet {
  const keys = (JSON.parse(text) as { keys?: unknown } | null)?.keys
  if (!Array.isArray(keys)) throw new Error('not a JWK set')
  const usable = keys.slice(0, maxKeys).filter((key) => keyProblems(key, profiles.fapi2_sp).length === 0)
  return { keys: usable.map(underBothNames) as JWK[] }
}

/** A key that says EdDSA is good for Ed25519 and the other way round: two names of one algorithm (RFC 9864), of which libraries sign one. */
export function underBothNames<Key extends Readonly<Record<string, unknown>>>(key: Key): Key {
  if (key['crv'] !== 'Ed25519') return key
  const { alg: _either, ...rest } = key
  return rest as unknown as Key
}
