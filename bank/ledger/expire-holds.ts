import { eachByItself, type RoundOptions } from '@bankside/service-kit/each-by-itself'
import { type Database, reading, sql, transact, z } from '@bankside/service-kit/postgres'
import type { HoldId } from '../ids.ts'
import { releaseHold } from './release-hold.ts'

const dueRow = z.object({ hold_id: z.custom<HoldId>() })

/**
 * Releases holds that have come to their end and that no payment waits on: a payment that ran out of time is rejected
 * together with its hold, by `advancePayments`.
 *
 * @returns how many were released: none when none is left.
 */
export async function expireHolds(database: Database, { now, limit, onFault }: RoundOptions<HoldId>): Promise<number> {
  // In any order, so that faulty ones are not the first each time.
  const due = await reading(
    database.anyFirst(sql.type(dueRow)`
      select hold_id from ledger.hold
      where status = 'active' and expires_at <= ${sql.timestamp(now)}
        and not exists (select from payments.payment where payment.hold_id = hold.hold_id and payment.status = 'held')
      order by random() limit ${limit}`),
  )
  return eachByItself(due, (holdId) => transact(database, (tx) => releaseHold(tx, { holdId, as: 'expired', now })), onFault)
}
