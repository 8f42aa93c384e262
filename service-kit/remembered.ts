import { leastRecentlyUsed } from './least-recently-used.ts'

/** Made once for each object, and known for as long as that is there. */
export function onceForEach<Key extends object, Value extends NonNullable<unknown>>(make: (key: Key) => Value): (key: Key) => Value {
  const known = new WeakMap<Key, Value>()
  return (key) => {
    const found = known.get(key)
    if (found !== undefined) return found
    const made = make(key)
    known.set(key, made)
    return made
  }
}

export type Remembering = {
  /** Texts, at most: the last half of them is remembered for sure, of the rest what was asked for lately. */
  readonly atMost: number
  /** Of a longer text nothing is remembered. */
  readonly lengthAtMost?: number
}

/** What follows from a text alone, made once for those that were asked for lately. */
export function remembered<Value extends NonNullable<unknown>>(
  make: (text: string) => Value,
  { atMost, lengthAtMost = Number.POSITIVE_INFINITY }: Remembering,
): (text: string) => Value {
  const known = leastRecentlyUsed<string, Value>(atMost)
  return (text) => {
    const found = known.get(text)
    if (found !== undefined) return found
    const made = make(text)
    if (text.length <= lengthAtMost) known.set(text, made)
    return made
  }
}
