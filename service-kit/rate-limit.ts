import { leastRecentlyUsed } from './least-recently-used.ts'

export type Rate = {
  /** What may go on for ever. */
  readonly perSecond: number
  /** What may come at once after a rest. */
  readonly burst: number
}

/** How long to wait, in whole seconds, or 0 for what may go on. */
export type RateLimit = (name: string) => number

/** So many are known for sure, and never more than twice as many: about twenty megabytes. Who was not heard of lately may begin anew. */
const namesAtMost = 100_000

/**
 * Counts what each name does, in this process: two processes allow twice as much. One number a name is kept, the moment at
 * which its bucket will be full again (the generic cell rate algorithm).
 */
export function rateLimit({ perSecond, burst }: Rate, nowMs: () => number = () => performance.now(), atMost = namesAtMost): RateLimit {
  const costMs = 1_000 / perSecond
  const roomMs = burst * costMs
  const fullAt = leastRecentlyUsed<string, number>(2 * atMost)
  return (name) => {
    const now = nowMs()
    const next = Math.max(fullAt.get(name) ?? 0, now) + costMs
    if (next - now > roomMs) return Math.ceil((next - now - roomMs) / 1_000)
    fullAt.set(name, next)
    return 0
  }
}
