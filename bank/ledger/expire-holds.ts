import { type Database, sql, transact, z } from '@bankside/service-kit/postgres'
import type { HoldId } from '../ids.ts'
import { releaseHold } from './release-hold.ts'

const Row = z.object({ hold_id: z.custom<HoldId>() })

/**
 * Releases holds that have come to their end and that no payment waits on: a payment that ran out of time is rejected
 * together with its hold, by `advancePayments`.
 *
 * @returns how many were released; fewer than `limit` when none is left.
 */
export async function expireHolds(database: Database, { now, limit }: { now: Date; limit: number }): Promise<number> {
  return await transact(database, async (tx) => {
    const due = await tx.any(sql.type(Row)`
      select hold_id from ledger.hold
      where status = 'active' and expires_at <= ${sql.timestamp(now)}
        and not exists (select from payments.payment where payment.hold_id = hold.hold_id and payment.status = 'held')
      order by account_id, hold_id limit ${limit}`)
    let released = 0
    for (const { hold_id } of due) if (await releaseHold(tx, { holdId: hold_id, as: 'expired', now })) released++
    return released
  })
}
