import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '@bankside/service-kit/clock'
import { openOrderedQueue, type Queued } from '@bankside/service-kit/ordered-queue'
import { lockNotAvailable, sqlState } from '@bankside/service-kit/postgres'
import { Refusal, Unavailable } from '@bankside/service-kit/refusal'
import { retried } from '@bankside/service-kit/retried'
import { keyInUse } from '../idempotency/claim-key.ts'
import { type Lane, openLanes } from '../ledger/movement-lanes.ts'
import { consentOf, type PaymentOrder, type Submitted } from './payment-order.ts'
import { outcomeOf, type Submission, type SubmissionRow, submissionStatement, submissionValues, toSubmission } from './submission-call.ts'

export type PaymentSubmitter = {
  /**
   * Accepts a payment: consent locked, matched and spent, key claimed, event and audit written. Answers when that is committed. Where nothing
   * has to be waited for, the money has moved by then; otherwise its funds are set aside, and it moves when the worker has finished the
   * checks. What cannot be paid (no funds, over a limit, an account that is closed or never was) is recorded as a rejected payment and returned:
   * that is an outcome, not an error.
   *
   * @throws {Refusal} `consent_not_yours`, `consent_not_found`, `consent_already_used`, `consent_not_authorised`, `consent_mismatch`,
   *   `account_not_usable` when the creditor is the debtor, `client_blocked`, `grant_revoked`, `idempotency_key_reused`,
   *   `idempotency_key_in_use`. What is refused leaves its key as new.
   * @throws {Unavailable} when too much waits already, or the database does not answer; what was asked may then be done or not, and the
   *   same request under the same key finds out.
   */
  readonly submit: (order: PaymentOrder) => Promise<Submitted>
  /** Submits what waits, then closes its connections. */
  readonly close: () => Promise<void>
}

export type PaymentSubmitterOptions = {
  readonly clock: Clock
  /** Calls at a time. */
  readonly lanes?: number
  readonly paymentsPerCall?: number
  /** Beyond these, others are turned away at once. */
  readonly waitingAtMost?: number
  readonly waitAtMostMs?: number
}

type Waiting = Queued & {
  readonly submission: Submission
  readonly resolve: (submitted: Submitted) => void
  readonly reject: (error: unknown) => void
}

const lookEveryMs = 100
const longCallMs = 50
/**
 * A call costs PostgreSQL as much as five payments in it, and beside another one it often waits for the accounts of that: fewer are better put
 * into the next.
 */
const worthASecondCall = 32

/**
 * Gathers the payments of a process into few calls, each done as if one after another in the order in which they came: those that name
 * the same consent, key or account are. One that comes while nothing is under way is sent at once, with whatever came in the same turn
 * of the event loop; meanwhile, the next call grows. Nothing ever waits for a timer.
 */
export function openPaymentSubmitter(databaseUrl: string, options: PaymentSubmitterOptions): PaymentSubmitter {
  const { clock, lanes: laneCount = 2, paymentsPerCall = 100, waitingAtMost = 2_000, waitAtMostMs = 5_000 } = options
  const lanes = openLanes(databaseUrl, laneCount)
  const queue = openOrderedQueue<Waiting>()
  let scheduled = false
  let closing = false
  let calledAtMs = 0

  /** Beside a call under way, another is worth while when enough wait, or it takes long: it may wait for a lock. */
  const isDue = () =>
    queue.waiting() > 0 && (queue.underWay() === 0 || queue.waiting() >= worthASecondCall || performance.now() - calledAtMs > longCallMs)
  const send = () => {
    for (let lane = lanes.take(); lane !== undefined; lane = lanes.take()) {
      const batch = isDue() ? queue.take(paymentsPerCall) : []
      if (batch.length === 0) return lanes.give(lane)
      calledAtMs = performance.now()
      void work(lane, batch)
    }
  }
  const schedule = () => {
    if (scheduled || !isDue()) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      send()
    })
  }
  const work = async (lane: Lane, batch: readonly Waiting[]) => {
    const answered = await submitAll(lane, batch, clock)
    queue.done(batch)
    lanes.give(lane)
    // The next call is on its way before those of the last one are answered: what that costs, PostgreSQL need not wait for.
    send()
    for (const answer of answered) answer()
  }
  const expiry = setInterval(() => {
    for (const { reject } of queue.expired(performance.now() - waitAtMostMs)) reject(new Unavailable('too many payments wait'))
    schedule()
  }, lookEveryMs)
  expiry.unref()

  return {
    async submit(order) {
      const submission = toSubmission(order, consentOf(order), clock.now())
      if (closing) throw new Unavailable('payments are not taken any more')
      if (queue.waiting() >= waitingAtMost) throw new Unavailable('too many payments wait already')
      return new Promise((resolve, reject) => {
        queue.add({ submission, ...namesOf(submission), resolve, reject, sinceMs: performance.now() })
        schedule()
      })
    },
    close: async () => {
      closing = true
      while (queue.waiting() > 0 || lanes.busy() > 0) await sleep(5)
      clearInterval(expiry)
      await lanes.close()
    },
  }
}

/**
 * A third party's token for a payment reaches no account but the one that pays. What the check says of a customer's payment depends on those
 * before it.
 */
function namesOf({ order, consentId }: Submission): Pick<Queued, 'alone' | 'shared'> {
  const { clientId, method, endpoint, key } = order.key
  const { customerId, accounts } = order.access
  const payer = order.channel === 'bank_api' ? [order.initiation.debtorAccountId] : [...accounts]
  return { alone: [consentId, [clientId, method, endpoint, key].join('\0'), ...(customerId ? [customerId] : [])], shared: payer }
}

type Answer = () => void

/**
 * A fault of one is answered to that one alone: the others are submitted without it, in their order. Each of them is answered before the
 * next is submitted, which may wait for long.
 */
async function submitAll(lane: Lane, batch: readonly Waiting[], clock: Clock): Promise<readonly Answer[]> {
  try {
    const submissions = batch.map(({ submission }) => submission)
    const now = clock.now()
    const rows = await retried(() => lane.call<SubmissionRow>(submissionStatement, submissionValues(submissions, now)))
    if (rows.length !== batch.length) throw new Error(`${rows.length} answers to ${batch.length} payments`)
    return batch.map(({ submission, resolve, reject }, index) => () => {
      try {
        const outcome = outcomeOf(submission, rows[index] as SubmissionRow, now)
        if (outcome instanceof Refusal) reject(outcome)
        else resolve(outcome)
      } catch (error) {
        reject(error)
      }
    })
  } catch (error) {
    if (batch.length === 1 || error instanceof Unavailable)
      return batch.map(
        ({ reject }) =>
          () =>
            reject(sqlState(error) === lockNotAvailable ? keyInUse() : error),
      )
    for (const one of batch) for (const answer of await submitAll(lane, [one], clock)) answer()
    return []
  }
}
