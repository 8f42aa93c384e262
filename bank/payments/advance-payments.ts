import { type Database, sql, transact, z } from '@bankside/service-kit/postgres'
import { Unavailable } from '@bankside/service-kit/refusal'
import type { PaymentId } from '../ids.ts'
import { builtInCheck } from '../risk/built-in-check.ts'
import type { Assessment, PaymentCheck } from '../risk/payment-check.ts'
import { type Payment, paymentColumns, paymentRow, toPayment } from './payment.ts'
import { type Settling, settlePayments } from './settle-payments.ts'
import { assertBuiltInCheck, CheckedElsewhere } from './who-checks.ts'

export type AdvanceOptions = {
  readonly now: Date
  /** At most so many payments. */
  readonly limit: number
  /** Instead of the built-in one; `assertWhoChecks` sees to it that no payment is posted without it. */
  readonly check?: PaymentCheck
  /** What cannot be finished, by a fault of ours or of the check, stays held until its lease ends, and does not stand in the way of others. */
  readonly onFault?: (error: unknown, paymentIds: readonly PaymentId[]) => void
}

/** So many payments share a transaction: alone, its round trips are most of what a payment costs. */
const batchSize = 100
/** What a check may take, and how long whoever took a payment has it for itself. */
export const checkTakesAtMostMs = 10_000
export const leaseMs = 30_000

/**
 * Leads payments on whose funds are held: has them checked, then posts them, rejects them and frees their funds, or leaves them to a
 * person. Oldest first. Each step is committed: they are taken, the check is asked outside any transaction, and what it said is
 * written with what follows from it. Several workers share the work, and take over where one died, when its lease has ended.
 *
 * @returns how many were led on; fewer than `limit` when none is left.
 */
export async function advancePayments(database: Database, options: AdvanceOptions): Promise<number> {
  let finished = 0
  for (let taken = 0; taken < options.limit; ) {
    const batch = await takePayments(database, options.now, Math.min(batchSize, options.limit - taken))
    if (batch.length === 0) break
    taken += batch.length
    const settling = await askedAbout(database, batch, options)
    finished += (await settleTogether(database, settling, options)) ?? (await settleOneByOne(database, settling, options))
  }
  return finished
}

const takenRow = paymentRow.extend({ lease: z.number(), deadline_at: z.date() })
type Taken = { readonly payment: Payment; readonly lease: number; readonly inTime: boolean }

/** In review, a payment is taken only when its time is up. */
async function takePayments(database: Database, now: Date, limit: number): Promise<readonly Taken[]> {
  const at = sql.timestamp(now)
  const rows = await transact(database, (tx) =>
    tx.any(sql.type(takenRow)`
      update payments.payment p set lease = p.lease + 1, lease_until = ${sql.timestamp(new Date(now.getTime() + leaseMs))}
      from (
        select payment_id from payments.payment
        where status = 'held' and (lease_until is null or lease_until <= ${at}) and (step <> 'review' or deadline_at <= ${at})
        order by created_at limit ${limit} for no key update skip locked) due
      where p.payment_id = due.payment_id
      returning ${paymentColumns}, p.lease, p.deadline_at`),
  )
  return rows.map((row) => ({ payment: toPayment(row), lease: row.lease, inTime: row.deadline_at > now }))
}

/** What is to be settled: payments that the check answered for, and those about which it is not asked. */
async function askedAbout(database: Database, batch: readonly Taken[], options: AdvanceOptions): Promise<readonly Settling[]> {
  const { check = builtInCheck(database), now, onFault } = options
  const asks = ({ payment, inTime }: Taken) => payment.step === 'checks' && inTime
  const asked = batch.filter(asks).map(({ payment }) => payment)
  const assessed = new Map<PaymentId, Assessment>()
  try {
    const answers = asked.length === 0 ? [] : await inTime((signal) => check(asked, { now, signal }))
    for (const answer of answers) assessed.set(answer.paymentId, answer)
    const unanswered = asked.filter(({ id }) => !assessed.has(id))
    if (unanswered.length > 0) throw new Error(`the check did not answer for ${unanswered.length} payments`)
  } catch (error) {
    if (error instanceof Unavailable || onFault === undefined) throw error
    onFault(
      error,
      asked.filter(({ id }) => !assessed.has(id)).map(({ id }) => id),
    )
  }
  return batch
    .filter((taken) => !asks(taken) || assessed.has(taken.payment.id))
    .map(({ payment, lease }) => ({ paymentId: payment.id, lease, assessment: assessed.get(payment.id) }))
}

/** Whether or not the check keeps to the signal. */
function inTime<Answer>(ask: (signal: AbortSignal) => Promise<Answer>): Promise<Answer> {
  const signal = AbortSignal.timeout(checkTakesAtMostMs)
  const late = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
  return Promise.race([ask(signal), late])
}

function settle(database: Database, settling: readonly Settling[], { now, check }: AdvanceOptions): Promise<number> {
  return transact(database, async (tx) => {
    const settled = await settlePayments(tx, settling, now)
    if (check === undefined) await assertBuiltInCheck(tx)
    return settled
  })
}

/** Not a fault of one of them. */
const isOfAll = (error: unknown): boolean => error instanceof Unavailable || error instanceof CheckedElsewhere

/** All or none: one that fails takes the others back with it, and the answer is undefined. */
async function settleTogether(database: Database, settling: readonly Settling[], options: AdvanceOptions): Promise<number | undefined> {
  if (settling.length === 0) return 0
  try {
    return await settle(database, settling, options)
  } catch (error) {
    if (isOfAll(error)) throw error
    return undefined
  }
}

/** Each in a transaction of its own, so that one that fails is known. */
async function settleOneByOne(database: Database, settling: readonly Settling[], options: AdvanceOptions): Promise<number> {
  const { onFault } = options
  let finished = 0
  for (const one of settling)
    try {
      finished += await settle(database, [one], options)
    } catch (error) {
      if (isOfAll(error) || onFault === undefined) throw error
      onFault(error, [one.paymentId])
    }
  return finished
}
