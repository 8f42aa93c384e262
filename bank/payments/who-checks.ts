import { type Database, reading, sql, type Transaction, transact, z } from '@bankside/service-kit/postgres'
import { appendAudit } from '../audit/append-audit.ts'
import { straightThroughIsKnown } from './straight-through.ts'

export type WhoChecks = {
  /** Whether this worker was started with a check elsewhere; otherwise it asks the built-in one. */
  readonly elsewhere: boolean
  readonly now: Date
}

const whoChecksRow = z.object({ elsewhere: z.boolean(), straightThrough: z.boolean() })

const whoChecks = sql.type(whoChecksRow)`select check_elsewhere as elsewhere, is_on as "straightThrough" from payments.straight_through`

/** Who is asked about a payment, and whether what nothing waits for is posted when it comes: never both elsewhere and at once. */
export const readWhoChecks = (database: Database): Promise<z.infer<typeof whoChecksRow>> => reading(database.one(whoChecks))

const newsRow = z.object({ actions: z.array(z.string()) })

/** The bank has a check elsewhere, and this worker does not know it. */
export class CheckedElsewhere extends Error {
  override name = 'CheckedElsewhere'

  constructor() {
    super(
      'payments are checked elsewhere, and this worker has no RISK_CHECK_URL: give it one, or say that the built-in check is asked again: npm run payments -- check built-in --why "…"',
    )
  }
}

/**
 * Sees to it, before a worker leads payments on, that none is posted without the check that the bank has. That there is one elsewhere is noted by
 * the first worker that was started with it: then nothing is posted when it comes, and no worker may ask the built-in check instead. What is under
 * way in that moment is waited for.
 *
 * @returns whether that was noted now.
 * @throws {CheckedElsewhere}
 */
export async function assertWhoChecks(database: Database, { elsewhere, now }: WhoChecks): Promise<boolean> {
  const noted = await readWhoChecks(database)
  if (noted.elsewhere === elsewhere) return false
  if (noted.elsewhere) throw new CheckedElsewhere()
  const isNews = await transact(database, async (tx) => {
    const { actions } = await tx.one(sql.type(newsRow)`select payments.leave_to_check_elsewhere() as actions`)
    const details = { why: 'a worker was started with RISK_CHECK_URL' }
    for (const action of actions) await appendAudit(tx, { actor: 'worker', action, subject: 'payments', details, now })
    return actions.length > 0
  })
  if (isNews) await straightThroughIsKnown(database)
  return isNews
}

/**
 * For whoever has written what the built-in check said, before that is committed.
 *
 * @throws {CheckedElsewhere} also when that was noted since the check was asked.
 */
export async function assertBuiltInCheck(tx: Transaction): Promise<void> {
  if ((await tx.one(whoChecks)).elsewhere) throw new CheckedElsewhere()
}

export type BuiltInCheck = { readonly actor: string; readonly why: string; readonly now: Date }

/** When no worker is started with a check elsewhere any more. Payments wait for the worker still, until straight-through is turned on. */
export async function returnToBuiltInCheck(tx: Transaction, { actor, why, now }: BuiltInCheck): Promise<void> {
  await tx.query(sql.unsafe`update payments.straight_through set check_elsewhere = false`)
  await appendAudit(tx, { actor, action: 'payment_check.built_in', subject: 'payments', details: { why }, now })
}
