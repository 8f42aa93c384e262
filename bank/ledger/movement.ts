import type { AccountId, EntryId, HoldId } from '../ids.ts'
import type { Money } from '../money.ts'
import type { Exchange } from './exchange.ts'
import type { Party } from './party.ts'

/**
 * What is asked of the ledger at once: operations that succeed or fail together, under a key. Whoever asks again under the same
 * key, with the same request, is told what was made the first time.
 */
export type Movement = {
  readonly key: MovementKey
  readonly operations: readonly [Operation, ...Operation[]]
  /** Who it is done for, as the audit log has it. */
  readonly actor: string
  readonly interactionId?: string | undefined
}

/** Both from {@link movementKey}. */
export type MovementKey = { readonly id: string; readonly requestHash: string }

export type Operation = Transfer | Legs | Hold | Capture | Release | Reversal | Exchange

type Booking = {
  readonly description: string
  readonly reference: string
  /** `2026-03-02`. On the day it is booked when left out; never after it. */
  readonly valueDate?: string | undefined
}

export type Transfer = Booking & {
  readonly kind: 'transfer' | 'opening'
  readonly from: AccountId
  readonly to: AccountId
  readonly amount: Money
  /** Who the statements name, where an account stands for others. */
  readonly debtor?: Party | undefined
  readonly creditor?: Party | undefined
}

/** One entry with as many legs as it takes, such as an amount with its fee and tax. They sum to zero in each currency. */
export type Legs = Booking & {
  readonly kind: 'legs'
  readonly legs: readonly Leg[]
}

export type Leg = {
  readonly accountId: AccountId
  /** Below zero when money leaves the account. */
  readonly amount: Money
  /** The account that the statement names as counterparty. */
  readonly other: AccountId
  readonly counterparty?: Party | undefined
}

export type Hold = {
  readonly kind: 'hold'
  readonly accountId: AccountId
  readonly amount: Money
  readonly expiresAt: Date
}

export type Capture = Booking & {
  readonly kind: 'capture'
  readonly holdId: HoldId
  readonly to: AccountId
  /** All that is left of the hold when left out. */
  readonly amountMinor?: bigint | undefined
  /** Keeps what is then left of the hold for another capture; otherwise it is given back. */
  readonly keepsRest?: boolean
  readonly creditor?: Party | undefined
}

/** Gives back what is left of a hold. */
export type Release = { readonly kind: 'release'; readonly holdId: HoldId }

/** Takes back an entry by another that names it: all that is left of it, an amount (of a transfer), or legs of one's own. */
export type Reversal = Booking & {
  readonly kind: 'reversal'
  readonly entryId: EntryId
  readonly amountMinor?: bigint | undefined
  readonly legs?: readonly Leg[] | undefined
}

export const declines = [
  'account_not_found',
  'account_not_usable',
  'currency_mismatch',
  'entry_not_reversible',
  'entry_reversed',
  'hold_exceeded',
  'hold_expired',
  'hold_not_active',
  'insufficient_funds',
  'key_reused',
  'reversal_exceeded',
] as const
export type Decline = (typeof declines)[number]

/** `made`: ids of entries and holds, in the order of the operations; a release makes none. */
export type MovementOutcome = { readonly made: readonly (EntryId | HoldId)[]; readonly replayed: boolean } | { readonly declined: Decline }
