export type LeastRecentlyUsed<Key, Value> = {
  get(key: Key): Value | undefined
  set(key: Key, value: Value): void
  clear(): void
}

/**
 * A bounded map: when full, it forgets what was not asked for lately. The last half of what it may hold is known for sure.
 *
 * In two generations, of which the older one goes as a whole. To take an entry out and put it in again behind the others, each time that
 * it is asked for, has a `Map` make itself anew every few times, and V8 keeps each one until a full collection, with all that is in it.
 */
export function leastRecentlyUsed<Key, Value>(limit: number): LeastRecentlyUsed<Key, Value> {
  const half = Math.max(1, Math.floor(limit / 2))
  let recent = new Map<Key, Value>()
  let older = new Map<Key, Value>()
  const set = (key: Key, value: Value) => {
    recent.set(key, value)
    if (recent.size < half) return
    older = recent
    recent = new Map()
  }
  return {
    get(key) {
      const known = recent.get(key)
      if (known !== undefined) return known
      const value = older.get(key)
      if (value !== undefined) set(key, value)
      return value
    },
    set,
    clear() {
      recent.clear()
      older.clear()
    },
  }
}
