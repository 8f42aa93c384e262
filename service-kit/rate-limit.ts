export type Rate = {
  /** What may go on for ever. */
  readonly perSecond: number
  /** What may come at once after a rest. */
  readonly burst: number
}

/** How long to wait, in whole seconds, or 0 for what may go on. */
export type RateLimit = (name: string) => number

/** About ten megabytes. Beyond it, what was not heard of for the longest is forgotten, and may begin anew. */
const namesAtMost = 100_000

/**
 * Counts what each name does, in this process: two processes allow twice as much. One number a name is kept, the moment at
 * which its bucket will be full again (the generic cell rate algorithm).
 */
export function rateLimit({ perSecond, burst }: Rate, nowMs: () => number = () => performance.now(), atMost = namesAtMost): RateLimit {
  const costMs = 1_000 / perSecond
  const roomMs = burst * costMs
  const fullAt = new Map<string, number>()
  return (name) => {
    const now = nowMs()
    const next = Math.max(fullAt.get(name) ?? 0, now) + costMs
    if (next - now > roomMs) return Math.ceil((next - now - roomMs) / 1_000)
    fullAt.delete(name)
    fullAt.set(name, next)
    if (fullAt.size > atMost) fullAt.delete(fullAt.keys().next().value as string)
    return 0
  }
}
