import { cancelled, sqlState } from './postgres-errors.ts'
import { Unavailable } from './refusal.ts'

/** What somebody does again and again, a part at a time. */
export type RoundOptions<Item> = {
  readonly now: Date
  /** At most so many. */
  readonly limit: number
  /** One that cannot be done because of a fault of ours stays as it is, and does not stand in the way of others. */
  readonly onFault?: (error: unknown, item: Item) => void
}

/**
 * Does each of them in its turn, whatever becomes of those before: one that fails by a fault of ours is told of, and does not stand in the way of
 * others. Where nobody wants to be told, the first fault ends it.
 *
 * @returns how much was done, as `work` says.
 * @throws {Unavailable} for the others may be tried later, too; but not where one took longer than a statement may.
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
      const isOfAll = error instanceof Unavailable && sqlState(error) !== cancelled
      if (isOfAll || onFault === undefined) throw error
      onFault(error, item)
    }
  return done
}
