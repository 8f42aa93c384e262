import { listTransactions } from '@bankside/bank/accounts/list-transactions'
import type { Counterparty, Transaction } from '@bankside/bank/accounts/transaction'
import type { Call, Reply } from '../api.ts'
import { throwViolations, type Violation } from '../request-refusal.ts'
import { parseDateFilter } from './dates.ts'
import { amountAndDirection, dateTime, ukReply, ukUrl, withoutUndefined } from './reply.ts'

const transactionsPerPage = 100
const pageParameter = 'page'

/** GET /accounts/{AccountId}/transactions */
export async function readTransactions(call: Call): Promise<Reply> {
  const accountId = call.parameters['accountId'] ?? ''
  const { from, to, after } = readQuery(call.query)
  const page = await listTransactions(call.tx, call.access, { accountId, from, to, after, limit: transactionsPerPage })
  const at = (cursor: string | undefined) => cursor && pageUrl(call, accountId, cursor)
  const paging = { First: after && pageUrl(call, accountId, undefined), Prev: at(page.previous), Next: at(page.next) }
  return ukReply(
    call,
    200,
    { Data: { Transaction: page.transactions.map((transaction) => renderTransaction(accountId, transaction)) } },
    { paging },
  )
}

/** Other parameters are ignored; one that we know, given twice, is not guessed about. */
function readQuery(query: URLSearchParams): { from: Date | undefined; to: Date | undefined; after: string | undefined } {
  const violations: Violation[] = []
  const single = (name: string): string | undefined => {
    const [value, ...others] = query.getAll(name)
    if (others.length > 0) violations.push(['parameter_invalid', name, 'must be given once'])
    return value
  }
  const date = (name: string): Date | undefined => {
    const text = single(name)
    const parsed = text === undefined ? undefined : parseDateFilter(text)
    if (text !== undefined && parsed === undefined) violations.push(['date_invalid', name, 'not an ISO 8601 date-time'])
    return parsed
  }
  const read = { from: date('fromBookingDateTime'), to: date('toBookingDateTime'), after: single(pageParameter) }
  throwViolations(violations)
  return read
}

/** The filters stay as they were sent (RW-D-10). */
function pageUrl(call: Call, accountId: string, cursor: string | undefined): string {
  const query = new URLSearchParams()
  for (const name of ['fromBookingDateTime', 'toBookingDateTime']) {
    const value = call.query.get(name)
    if (value !== null) query.set(name, value)
  }
  if (cursor !== undefined) query.set(pageParameter, cursor)
  return `${ukUrl(call, 'aisp/accounts', accountId, 'transactions')}${query.size > 0 ? `?${query}` : ''}`
}

/** What the consent does not open is undefined in the bank's answer already (AIS-07). */
function renderTransaction(accountId: string, transaction: Transaction): object {
  const { counterparty, balanceAfter } = transaction
  const isDebit = transaction.amount.minor < 0n
  return withoutUndefined({
    AccountId: accountId,
    TransactionId: transaction.id,
    TransactionReference: transaction.reference,
    ...amountAndDirection(transaction.amount),
    Status: 'BOOK',
    TransactionMutability: 'Immutable',
    BookingDateTime: dateTime(transaction.bookedAt),
    ValueDateTime: dateTime(transaction.bookedAt),
    TransactionInformation: transaction.description,
    Balance: balanceAfter && { Type: 'ITBD', ...amountAndDirection(balanceAfter) },
    ...(counterparty && { [isDebit ? 'CreditorAccount' : 'DebtorAccount']: renderCounterparty(counterparty) }),
  })
}

function renderCounterparty({ schemeName, identification, name }: Counterparty): object {
  return withoutUndefined({ SchemeName: schemeName, Identification: identification, Name: name })
}
