/** What waits for its turn, and the names of all that it touches. */
export type Queued = {
  /** Of these, one call holds each once. */
  readonly alone: readonly string[]
  /** Of these, one call may hold several that come one after another. */
  readonly shared: readonly string[]
  /** Of `performance.now()`. */
  readonly sinceMs: number
}

export type OrderedQueue<Item extends Queued> = {
  readonly waiting: () => number
  readonly underWay: () => number
  readonly add: (item: Item) => void
  /** The next call, of so many at most: may be empty while others are under way. Whoever takes it says when it is done. */
  readonly take: (atMost: number) => readonly Item[]
  readonly done: (items: readonly Item[]) => void
  /** Takes out those that have waited since before then. */
  readonly expired: (beforeMs: number) => readonly Item[]
}

/**
 * In the order in which they came: what touches something that a call under way touches waits for it, and what comes after and
 * touches the same waits behind it. So whatever has to do with each other is done in the order in which it came, and the order of
 * the rest makes no difference.
 *
 * @param lookAheadFactor How many times as far as a call is long is looked for what can go before what has to wait.
 */
export function openOrderedQueue<Item extends Queued>({ lookAheadFactor = Number.POSITIVE_INFINITY } = {}): OrderedQueue<Item> {
  let queue: Item[] = []
  let underWay = 0
  const busy = new Map<string, number>()

  return {
    waiting: () => queue.length,
    underWay: () => underWay,
    add: (item) => void queue.push(item),
    take(atMost) {
      const { taken, kept, seen } = select(queue, { atMost, within: atMost * lookAheadFactor }, busy)
      if (taken.length === 0) return taken
      queue = kept.concat(queue.slice(seen))
      underWay += taken.length
      for (const item of taken) for (const name of namesOf(item)) busy.set(name, (busy.get(name) ?? 0) + 1)
      return taken
    },
    done(items) {
      underWay -= items.length
      for (const item of items)
        for (const name of namesOf(item)) {
          const count = busy.get(name) ?? 0
          if (count > 1) busy.set(name, count - 1)
          else busy.delete(name)
        }
    },
    expired(beforeMs) {
      const expired = queue.filter(({ sinceMs }) => sinceMs < beforeMs)
      if (expired.length > 0) queue = queue.filter(({ sinceMs }) => sinceMs >= beforeMs)
      return expired
    },
  }
}

type Selection<Item> = { readonly taken: Item[]; readonly kept: Item[]; readonly seen: number }

type Limits = { readonly atMost: number; readonly within: number }

function select<Item extends Queued>(
  queue: readonly Item[],
  { atMost, within }: Limits,
  busy: ReadonlyMap<string, number>,
): Selection<Item> {
  const taken: Item[] = []
  const kept: Item[] = []
  /** Of those that stay behind: nothing passes them. */
  const blocked = new Set<string>()
  const once = new Set<string>()
  let seen = 0
  for (; seen < queue.length && taken.length < atMost && seen < within; seen++) {
    const item = queue[seen] as Item
    const free = (name: string) => !busy.has(name) && !blocked.has(name)
    if (item.shared.every(free) && item.alone.every((name) => free(name) && !once.has(name))) {
      taken.push(item)
      for (const name of item.alone) once.add(name)
    } else {
      kept.push(item)
      for (const name of namesOf(item)) blocked.add(name)
    }
  }
  return { taken, kept, seen }
}

const namesOf = ({ alone, shared }: Queued) => [...alone, ...shared]
