import { type Database, sql, type Transaction, transact } from '@bankside/service-kit/postgres'
import { Unavailable } from '@bankside/service-kit/refusal'
import { carryOut } from '../events/carry-out.ts'
import type { EntryId, HoldId, PaymentId } from '../ids.ts'
import { type Capture, type CaptureOutcome, captureHolds } from '../ledger/capture-holds.ts'
import { releaseHold } from '../ledger/release-hold.ts'
import { type Payment, paymentColumns, paymentRow, type RejectionReason, toPayment } from './payment.ts'
import { paymentEvent } from './payment-event.ts'
import { reasonOfEither } from './reason-of-account.ts'

export type AdvanceOptions = {
  readonly now: Date
  /** At most so many payments. */
  readonly limit: number
  /** A payment that cannot be finished because of a fault of ours stays held, and does not stand in the way of others. */
  readonly onFault?: (error: unknown, paymentId: PaymentId) => void
}

/** So many payments share a transaction: alone, its round trips are most of what a payment costs. */
const batchSize = 50

/**
 * Finishes payments that wait: posts what was held, or rejects the payment and frees the funds. Several workers share the
 * work, and take over where one died.
 *
 * @returns how many were finished; fewer than `limit` when none is left.
 */
export async function advancePayments(database: Database, { now, limit, onFault }: AdvanceOptions): Promise<number> {
  const faulty: PaymentId[] = []
  let attempted = 0
  while (attempted < limit) {
    const batch = { now, limit: Math.min(batchSize, limit - attempted), faulty, onFault }
    const done = (await advanceTogether(database, batch)) ?? (await advanceOneByOne(database, batch))
    if (done === 0) break
    attempted += done
  }
  return attempted - faulty.length
}

type Batch = {
  readonly now: Date
  readonly limit: number
  /** Passed over. */
  readonly faulty: PaymentId[]
  readonly onFault: AdvanceOptions['onFault'] | undefined
}

/** All or none: one that fails takes the others back with it, and the answer is undefined. */
async function advanceTogether(database: Database, { now, limit, faulty }: Batch): Promise<number | undefined> {
  let taken = 0
  try {
    return await transact(database, async (tx) => {
      const waiting = await takeWaiting(tx, limit, faulty)
      taken = waiting.length
      if (taken > 0) await finish(tx, waiting, now)
      return taken
    })
  } catch (error) {
    if (taken === 0 || error instanceof Unavailable) throw error
    return undefined
  }
}

/** Each in a transaction of its own, so that one that fails is known. */
async function advanceOneByOne(database: Database, { now, limit, faulty, onFault }: Batch): Promise<number> {
  let attempted = 0
  for (; attempted < limit; attempted++) {
    let taken: PaymentId | undefined
    try {
      const found = await transact(database, async (tx) => {
        const waiting = await takeWaiting(tx, 1, faulty)
        taken = waiting[0]?.payment.id
        if (taken !== undefined) await finish(tx, waiting, now)
        return taken !== undefined
      })
      if (!found) break
    } catch (error) {
      if (taken === undefined || error instanceof Unavailable || onFault === undefined) throw error
      faulty.push(taken)
      onFault(error, taken)
    }
  }
  return attempted
}

type Waiting = { readonly payment: Payment; readonly holdId: HoldId }

async function takeWaiting(tx: Transaction, limit: number, faulty: readonly PaymentId[]): Promise<readonly Waiting[]> {
  const rows = await tx.any(sql.type(paymentRow)`
    select ${paymentColumns} from payments.payment p
    where p.status = 'held' and p.payment_id <> all (${sql.array(faulty, 'text')})
    order by p.created_at limit ${limit} for update of p skip locked`)
  return rows.map((row) => {
    if (row.hold_id === null) throw new Error(`payment ${row.payment_id} is held without a hold`)
    return { payment: toPayment(row), holdId: row.hold_id }
  })
}

async function finish(tx: Transaction, waiting: readonly Waiting[], now: Date): Promise<void> {
  const outcomes = await captureHolds(tx, waiting.map(toCapture), now)
  const finished: Finished[] = []
  for (const { payment, holdId } of waiting) {
    const outcome = outcomes.get(holdId)
    if (outcome === undefined) throw new Error(`nothing came of hold ${holdId} of payment ${payment.id}`)
    finished.push('captured' in outcome ? posted(payment, outcome.captured, now) : await reject(tx, payment, holdId, outcome, now))
  }
  await carryOut(tx, {
    statements: [updatePayments(finished)],
    events: finished.map(paymentEvent),
    records: finished.map(({ id, status, rejectionReason: reason = null }) => {
      return { actor: 'worker', action: `payment.${status}`, subject: id, details: { reason }, now }
    }),
  })
}

const toCapture = ({ payment, holdId }: Waiting): Capture => ({
  holdId,
  creditorAccountId: payment.creditorAccountId,
  paymentId: payment.id,
  description: payment.channel === 'bank_api' ? 'Transfer' : 'Open banking payment',
  reference: payment.reference || payment.endToEndIdentification,
  // Of an account here the ledger knows the number itself.
  creditor: payment.creditorIsOurs ? { name: payment.creditor.name } : payment.creditor,
})

type Finished = Payment & { readonly entryId: EntryId | undefined }

const posted = (payment: Payment, entryId: EntryId, now: Date): Finished => ({
  ...payment,
  entryId,
  status: 'posted',
  statusUpdatedAt: now,
})

type Declined = Extract<CaptureOutcome, { declined: unknown }>

/** Gives the funds back. */
async function reject(tx: Transaction, payment: Payment, holdId: HoldId, { declined }: Declined, now: Date): Promise<Finished> {
  if (declined === 'hold_not_active') throw new Error(`payment ${payment.id} waits on a hold that is not active`)
  const expired = declined === 'hold_expired'
  const rejectionReason: RejectionReason = expired ? 'AB03' : await reasonOfEither(tx, payment.debtorAccountId)
  if (!(await releaseHold(tx, { holdId, as: expired ? 'expired' : 'released', now })))
    throw new Error(`hold ${holdId} of payment ${payment.id} could not be released`)
  return { ...payment, entryId: undefined, status: 'rejected', rejectionReason, statusUpdatedAt: now }
}

/** Named by their ids as well: what comes out of JSON is thought to be so many rows that all payments would be read. */
function updatePayments(finished: readonly Finished[]) {
  const ids = sql.array(
    finished.map(({ id }) => id),
    'text',
  )
  const rows = finished.map(({ id, status, statusUpdatedAt, rejectionReason, entryId }) => {
    return { payment_id: id, status, status_updated_at: statusUpdatedAt, rejection_reason: rejectionReason, entry_id: entryId }
  })
  return sql.fragment`
    update payments.payment p
    set status = f.status, status_updated_at = f.status_updated_at, rejection_reason = f.rejection_reason, entry_id = f.entry_id
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as f (
      payment_id text, status text, status_updated_at timestamptz, rejection_reason text, entry_id text)
    where p.payment_id = f.payment_id and p.payment_id = any (${ids})`
}
