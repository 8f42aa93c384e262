import type { AccountId, ConsentId, CustomerId, ManagedGrantId } from '../ids.ts'
import type { Money } from '../money.ts'
import type { Permission } from './permission.ts'

/** What a third party asked for and a customer decides on. The UK intent, the RAR detail and the grant are names for one row. */
export type Consent = AccountAccessConsent | PaymentConsent

export type ConsentKind = 'account_access' | 'domestic_payment' | 'transfer'

/** AWAU awaiting authorisation · AUTH authorised · RJCT rejected · COND consumed · CANC cancelled by the customer · EXPD expired. */
export type ConsentStatus = 'AWAU' | 'AUTH' | 'RJCT' | 'COND' | 'CANC' | 'EXPD'

type Terms = {
  readonly id: ConsentId
  readonly clientId: string
  readonly status: ConsentStatus
  readonly statusUpdatedAt: Date
  readonly statusReason: StatusReason | undefined
  readonly createdAt: Date
  /** A customer who comes later finds the request gone. */
  readonly authoriseBefore: Date
  /** As the third party sent it: echoed unchanged, and what a payment is compared with. */
  readonly request: unknown
  /** Bound at the first authorisation, for ever (RW-TOK-01). */
  readonly customerId: CustomerId | undefined
  readonly authorisedAt: Date | undefined
  readonly grantId: string | undefined
  /** Under which the third party manages it, if it asked to. */
  readonly managedGrantId: ManagedGrantId | undefined
  /** When it began, be it with another consent. */
  readonly managedSince: Date | undefined
  readonly deletedAt: Date | undefined
}

/** A code of at most four characters (UK code set) and a sentence of at most 500. */
export type StatusReason = { readonly code: string; readonly description: string }

export type AccountAccessConsent = Terms & {
  readonly kind: 'account_access'
  readonly permissions: readonly Permission[]
  /** Undefined: until the customer stops it. */
  readonly expiresAt: Date | undefined
  readonly transactionFrom: Date | undefined
  readonly transactionTo: Date | undefined
  /** What the customer chose at the latest authorisation. */
  readonly accountIds: readonly AccountId[]
}

export type PaymentConsent = Terms & {
  readonly kind: 'domestic_payment' | 'transfer'
  readonly amount: Money
  readonly creditor: Creditor
  /** Set when the creditor holds an account here. */
  readonly creditorAccountId: AccountId | undefined
  /** As the third party named it. Whether it is the customer's is known only once the customer is (PIS-07). */
  readonly debtor: AccountIdentification | undefined
  /** The account to pay from: set when the consent is authorised. */
  readonly debtorAccountId: AccountId | undefined
  readonly reference: string | undefined
}

export type AccountIdentification = { readonly schemeName: string; readonly identification: string }
export type Creditor = AccountIdentification & { readonly name: string }

/** The scope that an authorization request or a token must have for a consent of each kind (RW-TOK-08). */
export const scopeOfKind = {
  account_access: 'accounts',
  domestic_payment: 'payments',
  transfer: 'payments:write',
} as const satisfies Record<ConsentKind, string>

type Moves = Partial<Record<ConsentStatus, readonly ConsentStatus[]>>
const paymentMoves: Moves = { AWAU: ['AUTH', 'RJCT'], AUTH: ['COND', 'RJCT'] }

/** CON-01. The table `consents.transition` says the same to whoever writes; a test compares the two. */
export const moves: Record<ConsentKind, Moves> = {
  account_access: { AWAU: ['AUTH', 'RJCT', 'EXPD'], AUTH: ['AUTH', 'CANC', 'EXPD'], CANC: ['AUTH', 'EXPD'] },
  domestic_payment: paymentMoves,
  transfer: paymentMoves,
}

export const mayMove = ({ kind, status }: Consent, to: ConsentStatus): boolean => moves[kind][status]?.includes(to) ?? false
