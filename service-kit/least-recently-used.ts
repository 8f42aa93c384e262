export type LeastRecentlyUsed<Key, Value> = {
  get(key: Key): Value | undefined
  set(key: Key, value: Value): void
  clear(): void
}

/** A bounded map: when full, it forgets what was not asked for the longest. */
export function leastRecentlyUsed<Key, Value>(limit: number): LeastRecentlyUsed<Key, Value> {
  const entries = new Map<Key, Value>()
  return {
    get(key) {
      const value = entries.get(key)
      if (value === undefined) return undefined
      entries.delete(key)
      entries.set(key, value)
      return value
    },
    set(key, value) {
      entries.delete(key)
      entries.set(key, value)
      if (entries.size > limit) entries.delete(entries.keys().next().value as Key)
    },
    clear: () => entries.clear(),
  }
}
