import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'

const pauseMs = 200
const eventsPerRound = 100

/** Tells customers what happened, as the product's worker does: a textbook relay, some events to a transaction, two statements for each. */
export async function deliverOutbox(pool: Pool): Promise<never> {
  for (;;) if ((await deliverSome(pool)) < eventsPerRound) await sleep(pauseMs)
}

async function deliverSome(pool: Pool): Promise<number> {
  const db = await pool.connect()
  try {
    await db.query('begin')
    const { rows } = await db.query(
      'select event_id, type, payload from outbox where delivered_at is null order by created_at limit $1 for update skip locked',
      [eventsPerRound],
    )
    for (const { event_id: id, type, payload } of rows) {
      await db.query('insert into notification values ($1, $2, $3, now()) on conflict do nothing', [id, type, payload])
      await db.query('update outbox set delivered_at = now() where event_id = $1', [id])
    }
    await db.query('commit')
    return rows.length
  } catch (error) {
    await db.query('rollback')
    throw error
  } finally {
    db.release()
  }
}
