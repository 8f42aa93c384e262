/** mulberry32: a run is repeatable from its seed. */
export type Random = {
  readonly below: (limit: number) => number
  readonly chance: (probability: number) => boolean
  readonly pick: <Item>(items: readonly Item[]) => Item
  /** From 1 to the limit, small ones as often as large ones of any size. */
  readonly amount: (limit: bigint) => bigint
}

export function randomFrom(seed: number): Random {
  let state = seed | 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    below,
    chance: (probability) => next() < probability,
    pick: (items) => items[below(items.length)] as (typeof items)[number],
    amount(limit) {
      const digits = 1 + below(limit.toString().length)
      let text = ''
      for (let index = 0; index < digits; index++) text += below(10)
      return (BigInt(text) % limit) + 1n
    },
  }
}
