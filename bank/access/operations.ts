import type { Permission } from '../consents/permission.ts'

/** What an operation demands of the token that is presented for it. */
export type Requirement = {
  readonly scope: string
  /**
   * Whose token it must be. `client`: the third party's own (client credentials). `client_or_customer`: either.
   * `account_access`, `domestic_payment`: a customer's, for a consent of that kind. `customer`: a customer's, of a first-party app.
   * `transfer`: the same, authorised for this one payment.
   */
  readonly bearer: 'client' | 'client_or_customer' | 'customer' | 'account_access' | 'domestic_payment' | 'transfer'
  /** The consent must hold at least one of each group. */
  readonly permissions?: readonly (readonly Permission[])[]
  /** The customer must have authenticated strongly, this recently. */
  readonly authenticatedWithinSeconds?: number
}

const accounts: Requirement['permissions'] = [['ReadAccountsBasic', 'ReadAccountsDetail']]
const transactions: Requirement['permissions'] = [
  ['ReadTransactionsBasic', 'ReadTransactionsDetail'],
  ['ReadTransactionsCredits', 'ReadTransactionsDebits'],
]
const statements: Requirement['permissions'] = [['ReadStatementsBasic', 'ReadStatementsDetail']]

/** Every door of both APIs, and its lock. */
export const operations = {
  uk: {
    'account_consent.lodge': { scope: 'accounts', bearer: 'client' },
    'account_consent.read': { scope: 'accounts', bearer: 'client' },
    'account_consent.delete': { scope: 'accounts', bearer: 'client' },
    'accounts.list': { scope: 'accounts', bearer: 'account_access', permissions: accounts },
    'account.read': { scope: 'accounts', bearer: 'account_access', permissions: accounts },
    'balances.read': { scope: 'accounts', bearer: 'account_access', permissions: [['ReadBalances']] },
    'transactions.read': { scope: 'accounts', bearer: 'account_access', permissions: transactions },
    'statements.list': { scope: 'accounts', bearer: 'account_access', permissions: statements },
    'statement.read': { scope: 'accounts', bearer: 'account_access', permissions: statements },
    'statement_transactions.read': { scope: 'accounts', bearer: 'account_access', permissions: [...statements, ...transactions] },
    'payment_consent.lodge': { scope: 'payments', bearer: 'client' },
    'payment_consent.read': { scope: 'payments', bearer: 'client' },
    'funds.confirm': { scope: 'payments', bearer: 'domestic_payment' },
    'payment.submit': { scope: 'payments', bearer: 'domestic_payment' },
    'payment.read': { scope: 'payments', bearer: 'client_or_customer' },
    'payment_proof.read': { scope: 'payments', bearer: 'client_or_customer' },
  },
  bank: {
    'profile.read': { scope: 'profile', bearer: 'customer' },
    'accounts.list': { scope: 'accounts:read', bearer: 'customer', permissions: accounts },
    'account.read': { scope: 'accounts:read', bearer: 'customer', permissions: accounts },
    'balance.read': { scope: 'accounts:read', bearer: 'customer', permissions: [['ReadBalances']] },
    'transactions.read': { scope: 'transactions:read', bearer: 'customer', permissions: transactions },
    'statements.list': { scope: 'transactions:read', bearer: 'customer', permissions: statements },
    'statement.read': { scope: 'transactions:read', bearer: 'customer', permissions: statements },
    'statement.draw': { scope: 'transactions:read', bearer: 'customer', permissions: statements },
    'statement_transactions.read': { scope: 'transactions:read', bearer: 'customer', permissions: [...statements, ...transactions] },
    'transfer.submit': { scope: 'payments:write', bearer: 'transfer' },
    'transaction.read': { scope: 'transactions:read', bearer: 'customer' },
    'transaction_proof.read': { scope: 'transactions:read', bearer: 'customer' },
    'beneficiaries.read': { scope: 'beneficiaries:read', bearer: 'customer' },
    'beneficiaries.add': { scope: 'beneficiaries:write', bearer: 'customer', authenticatedWithinSeconds: 300 },
  },
} as const satisfies Record<string, Record<string, Requirement>>

export type UkOperation = keyof (typeof operations)['uk']
export type BankOperation = keyof (typeof operations)['bank']
export type Operation = UkOperation | BankOperation
/** An operation belongs to one API: the same word may ask for different things in each. */
export type Door = { readonly api: 'uk'; readonly operation: UkOperation } | { readonly api: 'bank'; readonly operation: BankOperation }

export const requirementOf = (door: Door): Requirement =>
  door.api === 'uk' ? operations.uk[door.operation] : operations.bank[door.operation]

/** A first-party app holds no consent: what a UK permission opens for a third party, a scope opens for it. */
export const permissionsOfScope: Partial<Record<string, readonly Permission[]>> = {
  'accounts:read': ['ReadAccountsDetail', 'ReadBalances'],
  'transactions:read': ['ReadTransactionsDetail', 'ReadTransactionsCredits', 'ReadTransactionsDebits', 'ReadStatementsDetail'],
}
