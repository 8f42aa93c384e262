import { listTransactions } from '@bankside/bank/accounts/list-transactions'
import type { Transaction } from '@bankside/bank/accounts/transaction'
import { getPayment } from '@bankside/bank/payments/get-payment'
import type { Payment } from '@bankside/bank/payments/payment'
import { refuse } from '@bankside/bank/refusal'
import type { Call, Reply } from '../api.ts'
import { throwViolations, type Violation } from '../request-refusal.ts'
import { cents, timestamp } from './reply.ts'

const limits = { page: { initial: 1, most: 1_000_000 }, limit: { initial: 20, most: 100 } } as const

/** GET /accounts/{accountId}/transactions?page&limit: newest first. A page behind the end is empty (NAT-S8). */
export async function readTransactions({ tx, access, parameters, query }: Call): Promise<Reply> {
  const { page, limit } = readPaging(query)
  const found = await listTransactions(tx, access, { accountId: parameters['accountId'] ?? '', page, limit })
  const paging = { page, limit, has_more: found.next !== undefined, ...(found.total !== undefined && { total: found.total }) }
  return { status: 200, body: { transactions: found.transactions.map(renderTransaction), paging } }
}

function readPaging(query: URLSearchParams): { page: number; limit: number } {
  const violations: Violation[] = []
  const read = (name: 'page' | 'limit'): number => {
    const { initial, most } = limits[name]
    const given = query.getAll(name)
    const [text = String(initial)] = given
    const isValid = given.length <= 1 && /^[1-9]\d{0,6}$/.test(text) && Number(text) <= most
    if (!isValid) violations.push(['parameter_invalid', name, `a whole number from 1 to ${most}`])
    return Number(text)
  }
  const paging = { page: read('page'), limit: read('limit') }
  throwViolations(violations)
  return paging
}

function renderTransaction({ id, amount, balanceAfter, counterparty, ...transaction }: Transaction): object {
  return {
    id,
    amount_cents: cents(amount),
    currency: amount.currency,
    direction: amount.minor < 0n ? 'debit' : 'credit',
    description: transaction.description,
    reference: transaction.reference,
    counterparty: counterparty && { name: counterparty.name, scheme: counterparty.schemeName, identification: counterparty.identification },
    balance_after_cents: balanceAfter && cents(balanceAfter),
    booked_at: timestamp(transaction.bookedAt),
  }
}

/** GET /transactions/{id}: a payment of or to the customer, by whichever API it was made (NAT-A8). */
export async function readTransaction({ tx, access, parameters }: Call): Promise<Reply> {
  if (access.customerId === undefined) refuse('token_without_consent', 'the token is of no customer')
  const payment = await getPayment(tx, { paymentId: parameters['transactionId'] ?? '', customerId: access.customerId })
  return { status: 200, body: renderPayment(payment, access.accounts.has(payment.debtorAccountId)) }
}

export const statuses = { held: 'PENDING', posted: 'COMPLETED', rejected: 'FAILED' } as const

/** Whoever was paid sees the amount come in, and not who else the payer is. */
function renderPayment(payment: Payment, isPayer: boolean): object {
  return {
    transaction_id: payment.id,
    transaction_ref: payment.endToEndIdentification,
    status: statuses[payment.status],
    failure_code: payment.rejectionReason,
    direction: isPayer ? 'debit' : 'credit',
    amount_cents: cents(payment.amount),
    currency: payment.amount.currency,
    description: payment.reference,
    ...(isPayer ? { source_account_id: payment.debtorAccountId } : { destination_account_id: payment.creditorAccountId }),
    ...(isPayer && {
      counterparty: { name: payment.creditor.name, scheme: payment.creditor.schemeName, identification: payment.creditor.identification },
    }),
    created_at: timestamp(payment.createdAt),
    updated_at: timestamp(payment.statusUpdatedAt),
  }
}
