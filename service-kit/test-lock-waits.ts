import { setTimeout as sleep } from 'node:timers/promises'
import { type Database, sql } from './postgres.ts'

const waiting = sql.unsafe`select count(*)::int from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`

/** How many in this database wait for a lock. */
export const waitingForLocks = async (database: Database): Promise<number> => Number(await database.oneFirst(waiting))

/** For tests of what happens at once: goes on when so many in this database wait for a lock. */
export async function untilWaitingForLocks(database: Database, count: number): Promise<void> {
  while ((await waitingForLocks(database)) !== count) await sleep(5)
}
