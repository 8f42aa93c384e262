import { formatMoney } from '@bankside/bank/money'
import type { Payment } from '@bankside/bank/payments/payment'
import { type PaymentLife, readPaymentLife } from '@bankside/bank/payments/payment-life'
import { approvePayment, listPaymentsInReview, refusePayment } from '@bankside/bank/payments/review-payment'
import { setStraightThrough, straightThroughIsKnown } from '@bankside/bank/payments/straight-through'
import { readWhoChecks, returnToBuiltInCheck } from '@bankside/bank/payments/who-checks'
import type { Reason } from '@bankside/bank/risk/payment-check'
import { systemClock } from '@bankside/service-kit/clock'
import { type Database, transact, violatedConstraint } from '@bankside/service-kit/postgres'
import { Refusal } from '@bankside/service-kit/refusal'
import { type Command, Complaint, inColumns, isWhy, operator, optionsIn } from './run-command.ts'

const usage = `npm run payments -- review                            those that wait for a person, and why
npm run payments -- show PAYMENT_ID                   one, with all that was done to it and told of it
npm run payments -- approve PAYMENT_ID --why "…"      it goes on
npm run payments -- refuse PAYMENT_ID --why "…"       it is rejected, and its funds are free again
npm run payments -- straight-through                  whether payments wait for the worker, and who checks them
npm run payments -- straight-through on --why "…"     what nothing waits for is posted when it comes; off: every payment waits for the
                                                      worker, and for the check that it was started with
npm run payments -- check built-in --why "…"          when no worker has RISK_CHECK_URL any more: the built-in check is asked again`

/** `npm run payments -- …`: what a person decides about payments. */
export const paymentsCommand: Command = async (database, args) => {
  const { command, subject = '', values } = optionsIn(args, ['why'], usage)
  try {
    switch (command) {
      case 'review':
        return await review(database)
      case 'show':
        return inWords(await transact(database, (tx) => readPaymentLife(tx, subject)))
      case 'approve':
      case 'refuse':
        return await decide(database, command, subject, values['why'] ?? '')
      case 'straight-through':
        if (subject === '' && values['why'] === undefined) return await whoChecks(database)
        return await turnStraightThrough(database, subject, values['why'] ?? '')
      case 'check':
        return await askBuiltInCheck(database, subject, values['why'] ?? '')
      default:
        throw new Complaint(usage)
    }
  } catch (error) {
    throw error instanceof Refusal ? new Complaint(`${subject}: ${error.message}.`) : error
  }
}

async function review(database: Database): Promise<string> {
  const waiting = await transact(database, listPaymentsInReview)
  if (waiting.length === 0) return 'None waits.'
  return waiting
    .map((payment) => `${titleOf(payment)}\n  until ${payment.deadlineAt.toISOString()}\n${scoreInWords(payment.score, payment.reasons)}`)
    .join('\n\n')
}

async function decide(database: Database, decision: 'approve' | 'refuse', paymentId: string, why: string): Promise<string> {
  if (!isWhy(why)) throw new Complaint(usage)
  const act = decision === 'approve' ? approvePayment : refusePayment
  await transact(database, (tx) => act(tx, { paymentId, actor: operator(), why, now: systemClock.now() }))
  return decision === 'approve' ? `${paymentId} goes on.` : `${paymentId} is rejected, and its funds are free again.`
}

const atOnce = 'What nothing waits for is posted when it comes'

async function whoChecks(database: Database): Promise<string> {
  const { elsewhere, straightThrough } = await readWhoChecks(database)
  if (straightThrough) return `${atOnce}; the built-in check is asked.`
  const check = elsewhere ? 'a check elsewhere, which a worker with RISK_CHECK_URL asks' : 'the built-in check'
  return `Every payment waits for the worker, and for ${check}.`
}

async function turnStraightThrough(database: Database, word: string, why: string): Promise<string> {
  if ((word !== 'on' && word !== 'off') || !isWhy(why)) throw new Complaint(usage)
  const on = word === 'on'
  await transact(database, (tx) => setStraightThrough(tx, { on, actor: operator(), why, now: systemClock.now() })).catch(
    (error: unknown) => {
      throw violatedConstraint(error) === 'straight_through_passes_no_check' ? new Complaint(checkedElsewhere) : error
    },
  )
  if (on) return `${atOnce}.`
  const known = await straightThroughIsKnown(database)
  return `Every payment waits for the worker${known ? '' : ', but for some that are under way and may still be posted at once'}.`
}

const checkedElsewhere = `Payments are checked elsewhere, by a worker that was started with RISK_CHECK_URL: nothing may be posted without it.
When no worker has it any more: npm run payments -- check built-in --why "…"`

async function askBuiltInCheck(database: Database, word: string, why: string): Promise<string> {
  if (word !== 'built-in' || !isWhy(why)) throw new Complaint(usage)
  await transact(database, (tx) => returnToBuiltInCheck(tx, { actor: operator(), why, now: systemClock.now() }))
  return 'The worker asks the built-in check, unless one that has RISK_CHECK_URL still runs.'
}

const titleOf = ({ id, amount, creditor, debtorAccountId }: Payment) =>
  `${id}  ${amount.currency} ${formatMoney(amount)} from ${debtorAccountId} to ${creditor.name} (${creditor.identification})`

function scoreInWords(score: number, reasons: readonly Reason[]): string {
  const rows = reasons.map(({ points, words, fact }) => [`  ${points > 0 ? '+' : ''}${points}`, words, `(${fact})`])
  return [`  score ${score}`, ...(rows.length > 0 ? [inColumns(rows)] : [])].join('\n')
}

function inWords({ payment, deadlineAt, score, reasons, done, told }: PaymentLife): string {
  const state = [payment.status, payment.step, payment.rejectionReason, payment.limitId].filter((word) => word !== undefined).join(', ')
  const ends = payment.status === 'held' ? `, until ${deadlineAt.toISOString()}` : ''
  return [
    titleOf(payment),
    `  ${state}${ends}`,
    ...(score === undefined ? [] : [scoreInWords(score, reasons)]),
    inColumns(done.map(({ at, action, actor, details }) => [`  ${at.toISOString()}`, action, `by ${actor}`, JSON.stringify(details)])),
    inColumns(
      told.map(({ type, occurredAt, deliveredAt }) => [
        `  ${occurredAt.toISOString()}`,
        `told of ${type}`,
        deliveredAt?.toISOString() ?? 'not yet',
      ]),
    ),
  ].join('\n')
}
