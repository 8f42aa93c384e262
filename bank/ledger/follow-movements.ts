import { type Database, reading, sql, z } from '@bankside/service-kit/postgres'
import type { EntryId, HoldId } from '../ids.ts'

/** Where somebody has read to. Kept by whoever reads, together with what came of it. */
export type MovementCursor = { readonly writtenIn: bigint; readonly key: string }
export const firstMovement: MovementCursor = { writtenIn: 0n, key: '00000000-0000-0000-0000-000000000000' }

/** That something was made; what it is, the ledger says under its id. */
export type MadeMovement = {
  readonly key: string
  readonly made: readonly (EntryId | HoldId)[]
  /** Holds that were given back. */
  readonly released: readonly HoldId[]
  readonly madeAt: Date
}

const row = z.object({
  written_in: z.bigint(),
  movement_key: z.string(),
  made: z.string(),
  released: z.string().nullable(),
  made_at: z.date(),
})
const ids = <Id>(text: string) => (text === '' ? [] : (text.split(' ') as Id[]))

/**
 * The outbox of the ledger: what was made since, and nothing left out that was committed late; a transaction of the server that
 * writes for long holds it up. The order is that of the numbers of transactions, and no promise: what came first on an account, its
 * postings say. Movements are kept for a day.
 *
 * @returns fewer than `limit` when there are no more for now.
 */
export async function followMovements(
  database: Database,
  { after, limit }: { readonly after: MovementCursor; readonly limit: number },
): Promise<{ readonly movements: readonly MadeMovement[]; readonly cursor: MovementCursor }> {
  const rows = await reading(
    database.any(sql.type(row)`
      select written_in, movement_key, made, released, made_at from ledger.movement
      where written_in >= ${after.writtenIn} and written_in < ledger.settled_before()
        and (written_in, movement_key) > (${after.writtenIn}, ${after.key}::uuid)
      order by written_in, movement_key limit ${limit}`),
  )
  const last = rows.at(-1)
  return {
    movements: rows.map(({ movement_key, made, released, made_at }) => {
      return { key: movement_key, made: ids(made), released: ids(released ?? ''), madeAt: made_at }
    }),
    cursor: last === undefined ? after : { writtenIn: last.written_in, key: last.movement_key },
  }
}
