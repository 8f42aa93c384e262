import { type Database, sql, type Transaction, transact } from '@bankside/service-kit/postgres'
import { Unavailable } from '@bankside/service-kit/refusal'
import { appendAudit } from '../audit/append-audit.ts'
import type { EntryId, HoldId, PaymentId } from '../ids.ts'
import { type CaptureOutcome, captureHold } from '../ledger/capture-hold.ts'
import { releaseHold } from '../ledger/release-hold.ts'
import { type Payment, paymentColumns, paymentRow, type RejectionReason, toPayment } from './payment.ts'
import { reasonOfEither } from './reason-of-account.ts'
import { recordPaymentEvent } from './record-payment-event.ts'

export type AdvanceOptions = {
  readonly now: Date
  /** At most so many payments. */
  readonly limit: number
  /** A payment that cannot be finished because of a fault of ours stays held, and does not stand in the way of others. */
  readonly onFault?: (error: unknown, paymentId: PaymentId) => void
}

/**
 * Finishes payments that wait: posts what was held, or rejects the payment and frees the funds. Each payment in a
 * transaction of its own; several workers share the work, and take over where one died.
 *
 * @returns how many were finished; fewer than `limit` when none is left.
 */
export async function advancePayments(database: Database, { now, limit, onFault }: AdvanceOptions): Promise<number> {
  const faulty: PaymentId[] = []
  let finished = 0
  while (finished + faulty.length < limit) {
    let taken: PaymentId | undefined
    try {
      const found = await transact(database, async (tx) => {
        const waiting = await takeWaiting(tx, faulty)
        taken = waiting?.payment.id
        if (waiting !== undefined) await finish(tx, waiting, now)
        return waiting !== undefined
      })
      if (!found) break
      finished++
    } catch (error) {
      if (taken === undefined || error instanceof Unavailable || onFault === undefined) throw error
      faulty.push(taken)
      onFault(error, taken)
    }
  }
  return finished
}

type Waiting = { readonly payment: Payment; readonly holdId: HoldId }

async function takeWaiting(tx: Transaction, faulty: readonly PaymentId[]): Promise<Waiting | undefined> {
  const row = await tx.maybeOne(sql.type(paymentRow)`
    select ${paymentColumns} from payments.payment p
    where p.status = 'held' and p.payment_id <> all (${sql.array(faulty, 'text')})
    order by p.created_at limit 1 for update of p skip locked`)
  if (row === null) return undefined
  if (row.hold_id === null) throw new Error(`payment ${row.payment_id} is held without a hold`)
  return { payment: toPayment(row), holdId: row.hold_id }
}

async function finish(tx: Transaction, { payment, holdId }: Waiting, now: Date): Promise<void> {
  const outcome = await captureHold(tx, {
    holdId,
    creditorAccountId: payment.creditorAccountId,
    paymentId: payment.id,
    description: payment.channel === 'bank_api' ? 'Transfer' : 'Open banking payment',
    reference: payment.reference || payment.endToEndIdentification,
    // Of an account here the ledger knows the number itself.
    creditor: payment.creditorIsOurs ? { name: payment.creditor.name } : payment.creditor,
    now,
  })
  const finished = 'captured' in outcome ? await post(tx, payment, outcome.captured, now) : await reject(tx, payment, holdId, outcome, now)
  await recordPaymentEvent(tx, finished, now)
  await appendAudit(tx, {
    actor: 'worker',
    action: `payment.${finished.status}`,
    subject: finished.id,
    details: { reason: finished.rejectionReason ?? null },
    now,
  })
}

async function post(tx: Transaction, payment: Payment, entryId: EntryId, now: Date): Promise<Payment> {
  await tx.query(sql.unsafe`
    update payments.payment set status = 'posted', status_updated_at = ${sql.timestamp(now)}, entry_id = ${entryId}
    where payment_id = ${payment.id}`)
  return { ...payment, status: 'posted', statusUpdatedAt: now }
}

type Declined = Extract<CaptureOutcome, { declined: unknown }>

async function reject(tx: Transaction, payment: Payment, holdId: HoldId, { declined }: Declined, now: Date): Promise<Payment> {
  if (declined === 'hold_not_active') throw new Error(`payment ${payment.id} waits on a hold that is not active`)
  const expired = declined === 'hold_expired'
  const rejectionReason: RejectionReason = expired ? 'AB03' : await reasonOfEither(tx, payment.debtorAccountId)
  if (!(await releaseHold(tx, { holdId, as: expired ? 'expired' : 'released', now })))
    throw new Error(`hold ${holdId} of payment ${payment.id} could not be released`)
  await tx.query(sql.unsafe`
    update payments.payment set status = 'rejected', status_updated_at = ${sql.timestamp(now)}, rejection_reason = ${rejectionReason}
    where payment_id = ${payment.id}`)
  return { ...payment, status: 'rejected', rejectionReason, statusUpdatedAt: now }
}
