import { hash } from 'node:crypto'
import { leastRecentlyUsed } from '@bankside/service-kit/least-recently-used'

/** A request looks for what it names, and then writes of it: the handles of those that are under way. */
const hashedLately = leastRecentlyUsed<string, Buffer>(512)
/** Longer than any handle of ours. */
const rememberedAtMostLength = 128

/**
 * Codes, tokens, request URIs and cookies have 256 random bits: a plain hash is enough, and a copy of the table opens nothing.
 *
 * @returns the same bytes to everybody who asks: nobody changes them.
 */
export function handleHash(handle: string): Buffer {
  const known = hashedLately.get(handle)
  if (known !== undefined) return known
  const hashed = hash('sha256', handle, 'buffer')
  if (handle.length <= rememberedAtMostLength) hashedLately.set(handle, hashed)
  return hashed
}
