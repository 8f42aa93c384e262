import { newBeneficiaryId } from '@bankside/bank/ids'
import type { Api, Route } from '../api.ts'
import { jsonPointer } from '../parse-body.ts'
import { readAccount, readAccounts } from './accounts.ts'
import { createBeneficiary, readBeneficiaries, renderBeneficiaryOf } from './beneficiaries.ts'
import { bankAnswerTo, renderBankProblem } from './errors.ts'
import { readDrawnStatement, readPastBalance, readStatement, readStatements, readStatementTransactions } from './statements.ts'
import { readTransaction, readTransactionProof, readTransactions } from './transactions.ts'
import { checkTransfer, orderTransfer, renderMadeTransfer, renderTransfer, sourceNamedIn } from './transfers.ts'
import { readProfile } from './users.ts'

type Parameters = Readonly<Record<string, string>>
const account = ({ accountId }: Parameters) => ({ accountId })
const source = (_: Parameters, body: unknown) => ({ accountId: sourceNamedIn(body) })

/** The bank's own API: for the bank's own apps. What each door demands of a token stands in bank/access/operations.ts. */
export const bankRoutes: readonly Route[] = [
  { method: 'GET', path: '/users/me', door: { api: 'bank', operation: 'profile.read' }, handle: readProfile },
  { method: 'GET', path: '/accounts', door: { api: 'bank', operation: 'accounts.list' }, handle: readAccounts },
  { method: 'GET', path: '/accounts/:accountId', door: { api: 'bank', operation: 'account.read' }, names: account, handle: readAccount },
  {
    method: 'GET',
    path: '/accounts/:accountId/transactions',
    door: { api: 'bank', operation: 'transactions.read' },
    names: account,
    handle: readTransactions,
  },
  {
    method: 'GET',
    path: '/accounts/:accountId/balance',
    door: { api: 'bank', operation: 'balance.read' },
    names: account,
    handle: readPastBalance,
  },
  {
    method: 'GET',
    path: '/accounts/:accountId/statement',
    door: { api: 'bank', operation: 'statement.draw' },
    names: account,
    handle: readDrawnStatement,
  },
  {
    method: 'GET',
    path: '/accounts/:accountId/statements',
    door: { api: 'bank', operation: 'statements.list' },
    names: account,
    handle: readStatements,
  },
  {
    method: 'GET',
    path: '/accounts/:accountId/statements/:statementId',
    door: { api: 'bank', operation: 'statement.read' },
    names: account,
    handle: readStatement,
  },
  {
    method: 'GET',
    path: '/accounts/:accountId/statements/:statementId/transactions',
    door: { api: 'bank', operation: 'statement_transactions.read' },
    names: account,
    handle: readStatementTransactions,
  },
  {
    method: 'POST',
    path: '/transactions/transfer',
    door: { api: 'bank', operation: 'transfer.submit' },
    names: source,
    checkBody: checkTransfer,
    order: orderTransfer,
    renderMade: renderMadeTransfer,
    render: renderTransfer,
  },
  { method: 'GET', path: '/transactions/:transactionId', door: { api: 'bank', operation: 'transaction.read' }, handle: readTransaction },
  {
    method: 'GET',
    path: '/transactions/:transactionId/proof',
    door: { api: 'bank', operation: 'transaction_proof.read' },
    costly: true,
    handle: readTransactionProof,
  },
  {
    method: 'POST',
    path: '/beneficiaries',
    door: { api: 'bank', operation: 'beneficiaries.add' },
    newId: newBeneficiaryId,
    create: createBeneficiary,
    render: renderBeneficiaryOf,
  },
  { method: 'GET', path: '/beneficiaries', door: { api: 'bank', operation: 'beneficiaries.read' }, handle: readBeneficiaries },
]

export const bankApi = (audience: string): Api => ({
  name: 'bank',
  prefix: '/api/v1',
  audience,
  produces: ['application/json', 'application/problem+json'],
  idempotencyHeaders: ['idempotency-key', 'x-idempotency-key'],
  idempotencyKeysOf: 'customer',
  pathStyle: jsonPointer,
  routes: bankRoutes,
  answerTo: bankAnswerTo,
  renderProblem: renderBankProblem,
})
