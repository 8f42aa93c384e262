import { Unavailable } from './refusal.ts'

/**
 * Does each of them in its turn, whatever becomes of those before: one that fails by a fault of ours is told of, and does not stand in the way of
 * others. Where nobody wants to be told, the first fault ends it.
 *
 * @returns how much was done, as `work` says.
 * @throws {Unavailable} for the others may be tried later, too.
 */
export async function eachByItself<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<number | boolean>,
  onFault?: (error: unknown, item: Item) => void,
): Promise<number> {
  let done = 0
  for (const item of items)
    try {
      done += Number(await work(item))
    } catch (error) {
      if (error instanceof Unavailable || onFault === undefined) throw error
      onFault(error, item)
    }
  return done
}
