import { listTransactions } from '@bankside/bank/accounts/list-transactions'
import type { Counterparty, Transaction } from '@bankside/bank/accounts/transaction'
import type { Call, Reply } from '../api.ts'
import { dateProblem, parseDateFilter } from '../dates.ts'
import { readQuery } from '../query-parameters.ts'
import { pageLinks, pageParameter } from './paging.ts'
import { amountAndDirection, dateTime, ukReply, ukUrl, withoutUndefined } from './reply.ts'

export const transactionsPerPage = 100

/** GET /accounts/{AccountId}/transactions */
export async function readTransactions(call: Call): Promise<Reply> {
  const accountId = call.parameters['accountId'] ?? ''
  const { from, to, after } = readTransactionQuery(call.query)
  const page = await listTransactions(call.history, call.access, { accountId, from, to, after, limit: transactionsPerPage })
  const url = ukUrl(call, 'aisp/accounts', accountId, 'transactions')
  const paging = pageLinks(call, { url, filters: ['fromBookingDateTime', 'toBookingDateTime'], after, ...page })
  return ukReply(call, 200, { Data: { Transaction: page.transactions.map(renderTransaction) } }, { paging })
}

function readTransactionQuery(query: URLSearchParams) {
  const reader = readQuery(query)
  const date = (name: string) => reader.parsed(name, parseDateFilter, dateProblem)
  const read = { from: date('fromBookingDateTime'), to: date('toBookingDateTime'), after: reader.text(pageParameter) }
  reader.end()
  return read
}

/** What the consent does not open is undefined in the bank's answer already (AIS-07). */
export function renderTransaction(transaction: Transaction): object {
  const { counterparty, balanceAfter } = transaction
  const isDebit = transaction.amount.minor < 0n
  return withoutUndefined({
    AccountId: transaction.accountId,
    TransactionId: transaction.id,
    TransactionReference: transaction.reference,
    ...amountAndDirection(transaction.amount),
    Status: 'BOOK',
    TransactionMutability: 'Immutable',
    BookingDateTime: dateTime(transaction.bookedAt),
    ValueDateTime: `${transaction.valueDate}T00:00:00.000Z`,
    TransactionInformation: transaction.description,
    Balance: balanceAfter && { Type: 'ITBD', ...amountAndDirection(balanceAfter) },
    ...(counterparty && { [isDebit ? 'CreditorAccount' : 'DebtorAccount']: renderCounterparty(counterparty) }),
  })
}

function renderCounterparty({ schemeName, identification, name }: Counterparty): object {
  return withoutUndefined({ SchemeName: schemeName, Identification: identification, Name: name })
}
