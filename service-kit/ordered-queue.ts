/** What waits for its turn, and the names of all that it touches. */
export type Queued = {
  /** Of these, one call holds each once. */
  readonly alone: readonly string[]
  /** Of these, one call may hold several that come one after another. */
  readonly shared: readonly string[]
  /** Of these, several calls may hold any number at a time: in which order they are done makes no difference to any of them. */
  readonly joint?: readonly string[]
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
 * touches the same waits behind it, unless both touch it jointly. So whatever has to do with each other is done in the order in which
 * it came, and the order of the rest makes no difference.
 *
 * @param lookAheadFactor How many times as far as a call is long is looked for what can go before what has to wait.
 */
export function openOrderedQueue<Item extends Queued>({ lookAheadFactor = Number.POSITIVE_INFINITY } = {}): OrderedQueue<Item> {
  let queue: Item[] = []
  let underWay = 0
  const held: Held = { alone: new Map(), jointly: new Map() }

  return {
    waiting: () => queue.length,
    underWay: () => underWay,
    add: (item) => void queue.push(item),
    take(atMost) {
      const apart = goApart(queue.slice(0, atMost), held)
      const { taken, kept, seen } = select(queue, { atMost, within: atMost * lookAheadFactor, apart }, held)
      if (taken.length === 0) return taken
      queue = kept.concat(queue.slice(seen))
      underWay += taken.length
      for (const item of taken) hold(held, item, 1)
      return taken
    },
    done(items) {
      underWay -= items.length
      for (const item of items) hold(held, item, -1)
    },
    expired(beforeMs) {
      const expired = queue.filter(({ sinceMs }) => sinceMs < beforeMs)
      if (expired.length > 0) queue = queue.filter(({ sinceMs }) => sinceMs >= beforeMs)
      return expired
    },
  }
}

/** How often each name is held by calls under way. */
type Held = { readonly alone: Map<string, number>; readonly jointly: Map<string, number> }

function hold({ alone, jointly }: Held, item: Queued, times: 1 | -1): void {
  for (const name of item.alone) count(alone, name, times)
  for (const name of item.shared) count(alone, name, times)
  if (item.joint !== undefined) for (const name of item.joint) count(jointly, name, times)
}

function count(counts: Map<string, number>, name: string, times: number): void {
  const after = (counts.get(name) ?? 0) + times
  if (after > 0) counts.set(name, after)
  else counts.delete(name)
}

type Selection<Item> = { readonly taken: Item[]; readonly kept: Item[]; readonly seen: number }

/**
 * Calls that hold something jointly take turns at it in the end. Where that is so with few of the next, those go first with whom it is
 * not; where it is with most, all wait for the same, and had better be ready for it.
 */
function goApart(next: readonly Queued[], { jointly }: Held): boolean {
  return next.filter(({ joint }) => joint?.some((name) => jointly.has(name))).length * 2 < next.length
}

/** `apart`: what is held jointly elsewhere waits, too. */
type Limits = { readonly atMost: number; readonly within: number; readonly apart: boolean }

function select<Item extends Queued>(queue: readonly Item[], { atMost, within, apart }: Limits, held: Held): Selection<Item> {
  const taken: Item[] = []
  const kept: Item[] = []
  /** Of those that stay behind: nothing passes them. */
  const blocked = new Set<string>()
  const blockedJointly = new Set<string>()
  const once = new Set<string>()
  const freeJointly = (name: string) => !held.alone.has(name) && !blocked.has(name)
  const joins = (name: string) => freeJointly(name) && !(apart && held.jointly.has(name))
  const free = (name: string) => freeJointly(name) && !held.jointly.has(name) && !blockedJointly.has(name)
  let seen = 0
  for (; seen < queue.length && taken.length < atMost && seen < within; seen++) {
    const item = queue[seen] as Item
    const { alone, shared, joint = [] } = item
    if (shared.every(free) && joint.every(joins) && alone.every((name) => free(name) && !once.has(name))) {
      taken.push(item)
      for (const name of alone) once.add(name)
    } else {
      kept.push(item)
      for (const name of alone) blocked.add(name)
      for (const name of shared) blocked.add(name)
      for (const name of joint) blockedJointly.add(name)
    }
  }
  return { taken, kept, seen }
}
