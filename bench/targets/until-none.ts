import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'

const takesAtMostMs = 120_000
const pollMs = 25

/** Asks the database until the count is zero. @throws when that takes too long. */
export async function untilNone(db: Client, what: string, count: string): Promise<void> {
  for (const deadline = performance.now() + takesAtMostMs; ; await sleep(pollMs)) {
    const { rows } = await db.query<{ count: string }>(count)
    if (rows[0]?.count === '0') return
    if (performance.now() > deadline) throw new Error(`after ${takesAtMostMs} ms there are still ${rows[0]?.count} ${what}`)
  }
}
