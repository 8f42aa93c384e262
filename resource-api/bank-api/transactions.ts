import type { AccessDecision } from '@bankside/bank/access/decide-access'
import { getBooking } from '@bankside/bank/accounts/get-booking'
import { listTransactions } from '@bankside/bank/accounts/list-transactions'
import { searchTransactions } from '@bankside/bank/accounts/search-transactions'
import type { Counterparty, Transaction } from '@bankside/bank/accounts/transaction'
import { proveToViewer } from '@bankside/bank/audit/prove-to-viewer'
import { isEntryId } from '@bankside/bank/ids'
import { getPayment } from '@bankside/bank/payments/get-payment'
import type { Payment } from '@bankside/bank/payments/payment'
import { refuse } from '@bankside/bank/refusal'
import type { Call, Reply } from '../api.ts'
import { dateProblem, parseDateTime } from '../dates.ts'
import { type QueryReader, readQuery } from '../query-parameters.ts'
import { cents, timestamp } from './reply.ts'
import { customerOf } from './users.ts'

const limits = { page: { initial: 1, most: 1_000_000 }, limit: { initial: 20, most: 100 } } as const
type Limited = keyof typeof limits

/**
 * GET /accounts/{accountId}/transactions: newest first. By `page` and `limit`, where a page behind the end is empty (NAT-S8), or by
 * the cursor of an earlier answer, which neither skips nor repeats what is booked meanwhile; or those that fit what is looked for.
 */
export async function readTransactions(call: Call): Promise<Reply> {
  const { access, parameters, query, history } = call
  const accountId = parameters['accountId'] ?? ''
  const { page, limit, cursor, period, sought } = readListQuery(query)
  const asked = { accountId, ...period, limit, after: cursor }
  const isSearch = Object.values(sought).some((value) => value !== undefined)
  const found = isSearch
    ? await searchTransactions(history, access, { ...asked, ...sought })
    : await listTransactions(history, access, { ...asked, page: cursor === undefined ? page : undefined })
  const paging = {
    ...(cursor === undefined && !isSearch && { page }),
    ...{ limit, has_more: found.next !== undefined, next_cursor: found.next },
    ...(found.total !== undefined && { total: found.total }),
  }
  return { status: 200, body: { transactions: found.transactions.map(renderTransaction), paging } }
}

export function readLimited(reader: QueryReader, name: Limited): number {
  const { initial, most } = limits[name]
  const parse = (text: string) => (/^[1-9]\d{0,6}$/.test(text) && Number(text) <= most ? Number(text) : undefined)
  return reader.parsed(name, parse, { code: 'parameter_invalid', message: `a whole number from 1 to ${most}` }) ?? initial
}

function readListQuery(query: URLSearchParams) {
  const reader = readQuery(query)
  const cents = (name: string) =>
    reader.parsed(name, (text) => (/^\d{1,16}$/.test(text) ? BigInt(text) : undefined), {
      code: 'parameter_invalid',
      message: 'a whole number of the smallest unit, not below zero',
    })
  const date = (name: string) => reader.parsed(name, parseDateTime, dateProblem)
  const read = {
    page: readLimited(reader, 'page'),
    limit: readLimited(reader, 'limit'),
    cursor: reader.text('cursor'),
    period: { from: date('from'), before: date('before') },
    sought: {
      ...{ reference: reader.text('reference'), counterparty: reader.text('counterparty') },
      ...{ least: cents('min_amount_cents'), most: cents('max_amount_cents') },
    },
  }
  reader.end()
  return read
}

export function renderTransaction({ amount, balanceAfter, counterparty, ...transaction }: Transaction): object {
  return {
    id: transactionId(transaction),
    amount_cents: cents(amount),
    currency: amount.currency,
    direction: amount.minor < 0n ? 'debit' : 'credit',
    description: transaction.description,
    reference: transaction.reference,
    counterparty: counterparty && renderCounterparty(counterparty),
    balance_after_cents: balanceAfter && cents(balanceAfter),
    booked_at: timestamp(transaction.bookedAt),
    value_date: transaction.valueDate,
  }
}

/** One id for what happened, on every statement that shows it and for GET /transactions/{id}: of the payment, if there was one. */
const transactionId = ({ paymentId, entryId }: Pick<Transaction, 'paymentId' | 'entryId'>): string => paymentId ?? entryId

const renderCounterparty = ({ name, schemeName, identification }: Counterparty): object => ({ name, scheme: schemeName, identification })

/**
 * GET /transactions/{id}: a payment of or to the customer, by whichever API it was made (NAT-A8), or what was booked on their
 * accounts without one.
 */
export async function readTransaction({ tx, access, parameters }: Call): Promise<Reply> {
  const customerId = customerOf(access)
  const id = parameters['transactionId'] ?? ''
  if (isEntryId(id)) return { status: 200, body: renderBooking(await getBooking(tx, access, id)) }
  return { status: 200, body: renderPayment(await getPayment(tx, { paymentId: id, customerId }), access) }
}

/** GET /transactions/{id}/proof, of a payment that the customer made: whoever was paid is not shown the payer's side. */
export async function readTransactionProof({ tx, access, parameters }: Call): Promise<Reply> {
  const customerId = customerOf(access)
  const payment = await getPayment(tx, { paymentId: parameters['transactionId'] ?? '', customerId })
  if (payment.customerId !== customerId) refuse('payment_not_found', 'no such payment of this customer')
  return { status: 200, body: await proveToViewer(tx, { paymentId: payment.id, audience: 'customer' }) }
}

export const statuses = { held: 'PENDING', posted: 'COMPLETED', rejected: 'FAILED' } as const

/** Whoever was paid sees the amount come in, and not who else the payer is. */
function renderPayment(payment: Payment, { customerId, accounts }: AccessDecision): object {
  const isPayer = payment.customerId === customerId
  return {
    transaction_id: payment.id,
    transaction_ref: payment.endToEndIdentification,
    status: statuses[payment.status],
    failure_code: payment.rejectionReason,
    direction: isPayer ? 'debit' : 'credit',
    amount_cents: cents(payment.amount),
    currency: payment.amount.currency,
    description: payment.reference,
    ...(isPayer && { source_account_id: payment.debtorAccountId }),
    ...(accounts.has(payment.creditorAccountId) && { destination_account_id: payment.creditorAccountId }),
    ...(isPayer && { counterparty: renderCounterparty(payment.creditor) }),
    created_at: timestamp(payment.createdAt),
    updated_at: timestamp(payment.statusUpdatedAt),
  }
}

/** Seen from the account that gave, if that is the customer's. Nothing waits here: it is booked. */
function renderBooking(legs: readonly [Transaction, ...Transaction[]]): object {
  const [first] = legs
  const minor = first.amount.minor
  const debit = legs.find(({ amount }) => amount.minor < 0n)
  const credit = legs.find(({ amount }) => amount.minor > 0n)
  return {
    transaction_id: transactionId(first),
    transaction_ref: first.reference,
    status: statuses.posted,
    direction: minor < 0n ? 'debit' : 'credit',
    amount_cents: cents({ ...first.amount, minor: minor < 0n ? -minor : minor }),
    currency: first.amount.currency,
    description: first.description,
    ...(debit && { source_account_id: debit.accountId }),
    ...(credit && { destination_account_id: credit.accountId }),
    ...(first.counterparty && { counterparty: renderCounterparty(first.counterparty) }),
    created_at: timestamp(first.bookedAt),
    updated_at: timestamp(first.bookedAt),
  }
}
