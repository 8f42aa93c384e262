import { setTimeout as sleep } from 'node:timers/promises'
import { type Database, reading, sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'

export type StraightThrough = { readonly on: boolean; readonly actor: string; readonly why: string; readonly now: Date }

/**
 * On, a payment for which nothing waits is posted in the transaction in which it comes: then the built-in check is asked there. Off, every
 * payment waits for the worker, and for the check that it was started with. From the next payment on.
 *
 * @throws where a check is elsewhere and it is to be on: `straight_through_passes_no_check`.
 */
export async function setStraightThrough(tx: Transaction, { on, actor, why, now }: StraightThrough): Promise<void> {
  await tx.query(sql.unsafe`update payments.straight_through set is_on = ${on}`)
  await appendAudit(tx, { actor, action: `straight_through.${on ? 'on' : 'off'}`, subject: 'payments', details: { why }, now })
}

const looksAtMost = 500
const sleepBetweenMs = 20
const horizonRow = z.object({ oldest: z.bigint(), next: z.bigint() })

/**
 * When it is set and committed: waits for payments that were under way then, and may wait for an account with what they read before.
 *
 * @returns false where some take longer than ten seconds.
 */
export async function straightThroughIsKnown(database: Database): Promise<boolean> {
  const look = () =>
    reading(
      database.one(sql.type(horizonRow)`
        select pg_snapshot_xmin(now)::text::bigint as oldest, pg_snapshot_xmax(now)::text::bigint as next from pg_current_snapshot() now`),
    )
  const { next } = await look()
  for (let looks = 0; looks < looksAtMost; looks++, await sleep(sleepBetweenMs)) if ((await look()).oldest >= next) return true
  return false
}
