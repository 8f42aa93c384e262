import { listStatementTransactions } from '@bankside/bank/accounts/list-statement-transactions'
import { getStatement, listStatements, statementsPerPageLimit } from '@bankside/bank/accounts/list-statements'
import type { Statement, StatementTotals } from '@bankside/bank/accounts/statement'
import type { Money } from '@bankside/bank/money'
import type { Call, Reply } from '../api.ts'
import { dateProblem, parseDateFilter } from '../dates.ts'
import { readQuery } from '../query-parameters.ts'
import { pageLinks, pageParameter } from './paging.ts'
import { amountAndDirection, dateTime, renderAmount, ukReply, ukUrl, withoutUndefined } from './reply.ts'
import { renderTransaction, transactionsPerPage } from './transactions.ts'

const [fromFilter, toFilter] = ['fromStatementDateTime', 'toStatementDateTime']

/** GET /accounts/{AccountId}/statements: a month each, newest first. */
export async function readStatements(call: Call): Promise<Reply> {
  const { history, access, parameters, query, now } = call
  const { accountId = '' } = parameters
  const reader = readQuery(query)
  const from = reader.parsed(fromFilter, parseDateFilter, dateProblem)
  const to = reader.parsed(toFilter, parseDateFilter, dateProblem)
  const after = reader.text(pageParameter)
  reader.end()
  const { statements, next } = await listStatements(history, access, { accountId, from, to, after, limit: statementsPerPageLimit, now })
  const url = ukUrl(call, 'aisp/accounts', accountId, 'statements')
  const paging = pageLinks(call, { url, filters: [fromFilter, toFilter], after, next })
  return ukReply(call, 200, { Data: { Statement: statements.map(renderStatement) } }, { paging })
}

/** GET /accounts/{AccountId}/statements/{StatementId} */
export async function readStatement(call: Call): Promise<Reply> {
  const statement = await getStatement(call.history, call.access, nameIn(call))
  return ukReply(call, 200, { Data: { Statement: [renderStatement(statement)] } })
}

/** GET /accounts/{AccountId}/statements/{StatementId}/transactions */
export async function readStatementTransactions(call: Call): Promise<Reply> {
  const { accountId, statementId, now } = nameIn(call)
  const reader = readQuery(call.query)
  const after = reader.text(pageParameter)
  reader.end()
  const page = await listStatementTransactions(call.history, call.access, {
    accountId,
    statementId,
    now,
    after,
    limit: transactionsPerPage,
  })
  const url = ukUrl(call, 'aisp/accounts', accountId, 'statements', statementId, 'transactions')
  const paging = pageLinks(call, { url, filters: [], after, ...page })
  const Transaction = page.transactions.map((transaction) => ({ ...renderTransaction(transaction), StatementReference: [page.month] }))
  return ukReply(call, 200, { Data: { Transaction } }, { paging })
}

function nameIn({ parameters, now }: Call) {
  const { accountId = '', statementId = '' } = parameters
  return { accountId, statementId, now }
}

/** The last moment that belongs to the period: the standard's periods include their ends. */
const lastOf = (before: Date): Date => new Date(before.getTime() - 1)
const monthName = new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric', timeZone: 'UTC' })

/** Without ReadStatementsDetail there are no amounts (AIS-07). */
function renderStatement({ id, accountId, month, from, before, createdAt, totals }: Statement): object {
  return withoutUndefined({
    AccountId: accountId,
    StatementId: id,
    StatementReference: month,
    Type: 'RegularPeriodic',
    StartDateTime: dateTime(from),
    EndDateTime: dateTime(lastOf(before)),
    CreationDateTime: dateTime(createdAt),
    StatementDescription: [`Statement for ${monthName.format(from)}`],
    StatementAmount: totals && renderTotals(totals),
  })
}

function renderTotals({ opening, closing, credits, debits }: StatementTotals): object[] {
  const moved = (CreditDebitIndicator: 'Credit' | 'Debit', money: Money) => ({ CreditDebitIndicator, Amount: renderAmount(money) })
  return [
    { Type: 'UK.OBIE.StartingBalance', ...amountAndDirection(opening) },
    { Type: 'UK.OBIE.TotalCredits', ...moved('Credit', credits) },
    { Type: 'UK.OBIE.TotalDebits', ...moved('Debit', debits) },
    { Type: 'UK.OBIE.ClosingBalance', ...amountAndDirection(closing) },
  ]
}
