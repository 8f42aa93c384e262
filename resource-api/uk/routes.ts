import { newConsentId } from '@bankside/bank/ids'
import type { Api, Route } from '../api.ts'
import { dottedPath } from '../parse-body.ts'
import { createAccountAccessConsent, deleteAccountAccessConsent, readAccountAccessConsent } from './account-access-consents.ts'
import { readAccount, readAccounts, readBalances } from './accounts.ts'
import {
  createDomesticPaymentConsent,
  readDomesticPaymentConsent,
  readFundsConfirmation,
  renderCreatedConsent,
} from './domestic-payment-consents.ts'
import {
  checkDomesticPayment,
  consentNamedIn,
  orderDomesticPayment,
  readDomesticPayment,
  readPaymentProof,
  renderCreatedPayment,
  renderMadePayment,
} from './domestic-payments.ts'
import { renderUkProblem, ukAnswerTo } from './errors.ts'
import { readStatement, readStatements, readStatementTransactions } from './statements.ts'
import { readTransactions } from './transactions.ts'

type Parameters = Readonly<Record<string, string>>
const account = ({ accountId }: Parameters) => ({ accountId })
const consentOfPath = ({ consentId }: Parameters) => ({ consentId })
const consentOfBody = (_: Parameters, body: unknown) => ({ consentId: consentNamedIn(body) })

/** The whole UK API v4.0 of this bank. What each door demands of a token stands in bank/access/operations.ts. */
const routes: readonly Route[] = [
  {
    method: 'POST',
    path: '/aisp/account-access-consents',
    door: { api: 'uk', operation: 'account_consent.lodge' },
    handle: createAccountAccessConsent,
  },
  {
    method: 'GET',
    path: '/aisp/account-access-consents/:consentId',
    door: { api: 'uk', operation: 'account_consent.read' },
    handle: readAccountAccessConsent,
  },
  {
    method: 'DELETE',
    path: '/aisp/account-access-consents/:consentId',
    door: { api: 'uk', operation: 'account_consent.delete' },
    handle: deleteAccountAccessConsent,
  },

  { method: 'GET', path: '/aisp/accounts', door: { api: 'uk', operation: 'accounts.list' }, handle: readAccounts },
  { method: 'GET', path: '/aisp/accounts/:accountId', door: { api: 'uk', operation: 'account.read' }, names: account, handle: readAccount },
  {
    method: 'GET',
    path: '/aisp/accounts/:accountId/balances',
    door: { api: 'uk', operation: 'balances.read' },
    names: account,
    handle: readBalances,
  },
  {
    method: 'GET',
    path: '/aisp/accounts/:accountId/transactions',
    door: { api: 'uk', operation: 'transactions.read' },
    names: account,
    handle: readTransactions,
  },
  {
    method: 'GET',
    path: '/aisp/accounts/:accountId/statements',
    door: { api: 'uk', operation: 'statements.list' },
    names: account,
    handle: readStatements,
  },
  {
    method: 'GET',
    path: '/aisp/accounts/:accountId/statements/:statementId',
    door: { api: 'uk', operation: 'statement.read' },
    names: account,
    handle: readStatement,
  },
  {
    method: 'GET',
    path: '/aisp/accounts/:accountId/statements/:statementId/transactions',
    door: { api: 'uk', operation: 'statement_transactions.read' },
    names: account,
    handle: readStatementTransactions,
  },

  {
    method: 'POST',
    path: '/pisp/domestic-payment-consents',
    door: { api: 'uk', operation: 'payment_consent.lodge' },
    newId: newConsentId,
    create: createDomesticPaymentConsent,
    render: renderCreatedConsent,
  },
  {
    method: 'GET',
    path: '/pisp/domestic-payment-consents/:consentId',
    door: { api: 'uk', operation: 'payment_consent.read' },
    handle: readDomesticPaymentConsent,
  },
  {
    method: 'GET',
    path: '/pisp/domestic-payment-consents/:consentId/funds-confirmation',
    door: { api: 'uk', operation: 'funds.confirm' },
    names: consentOfPath,
    handle: readFundsConfirmation,
  },
  {
    method: 'POST',
    path: '/pisp/domestic-payments',
    door: { api: 'uk', operation: 'payment.submit' },
    names: consentOfBody,
    order: orderDomesticPayment,
    checkBody: checkDomesticPayment,
    renderMade: renderMadePayment,
    render: renderCreatedPayment,
  },
  {
    method: 'GET',
    path: '/pisp/domestic-payments/:paymentId',
    door: { api: 'uk', operation: 'payment.read' },
    handle: readDomesticPayment,
  },
  {
    method: 'GET',
    path: '/pisp/domestic-payments/:paymentId/proof',
    door: { api: 'uk', operation: 'payment_proof.read' },
    costly: true,
    handle: readPaymentProof,
  },
]

export const ukApi = (audience: string): Api => ({
  name: 'uk',
  prefix: '/open-banking/v4.0',
  audience,
  produces: ['application/json'],
  idempotencyHeaders: ['x-idempotency-key'],
  idempotencyKeysOf: 'client',
  pathStyle: dottedPath,
  routes,
  answerTo: ukAnswerTo,
  renderProblem: renderUkProblem,
})
