import { refuse } from '../refusal.ts'
import type { Leg, Movement, Operation } from './movement.ts'

export const operationsPerMovementLimit = 20
export const legsPerOperationLimit = 20
const amountLimit = 10n ** 37n

/**
 * What is wrong with a movement by itself, whatever is on any account. The database would refuse the call, and with it all the
 * movements that it is gathered with.
 *
 * @throws {Refusal} `amount_invalid`, `account_not_usable`, `field_invalid`.
 */
export function checkMovement({ operations }: Movement): void {
  if (operations.length > operationsPerMovementLimit) refuse('field_invalid', `more than ${operationsPerMovementLimit} operations`)
  const targets = operations.flatMap((operation) => targetOf(operation) ?? [])
  if (new Set(targets).size < targets.length) refuse('field_invalid', 'a hold or an entry is taken up twice')
  for (const operation of operations) checkOperation(operation)
}

/** The hold or entry that an operation takes up. */
export function targetOf(operation: Operation): string | undefined {
  if (operation.kind === 'capture' || operation.kind === 'release') return operation.holdId
  return operation.kind === 'reversal' ? operation.entryId : undefined
}

function checkOperation(operation: Operation): void {
  switch (operation.kind) {
    case 'transfer':
    case 'opening':
      checkAmount(operation.amount.minor)
      if (operation.from === operation.to) refuse('account_not_usable', 'from and to are one account')
      return
    case 'hold':
      checkAmount(operation.amount.minor)
      return
    case 'capture':
      if (operation.amountMinor !== undefined) checkAmount(operation.amountMinor)
      return
    case 'reversal':
      if (operation.amountMinor !== undefined) checkAmount(operation.amountMinor)
      if (operation.legs !== undefined) checkLegs(operation.legs)
      return
    case 'legs':
      checkLegs(operation.legs)
      return
    case 'exchange':
      checkAmount(operation.sold.minor)
      checkAccounts([operation.from, operation.to, operation.positions.sold, operation.positions.bought, operation.residueTo])
      return
    case 'release':
      return
  }
}

function checkAmount(minor: bigint): void {
  if (minor < 1n || minor >= amountLimit) refuse('amount_invalid', 'not an amount that can be moved')
}

function checkLegs(legs: readonly Leg[]): void {
  if (legs.length < 2 || legs.length > legsPerOperationLimit) refuse('field_invalid', `an entry has 2 to ${legsPerOperationLimit} legs`)
  checkAccounts(legs.map(({ accountId }) => accountId))
  const sums = new Map<string, bigint>()
  for (const { amount } of legs) {
    checkAmount(amount.minor < 0n ? -amount.minor : amount.minor)
    sums.set(amount.currency, (sums.get(amount.currency) ?? 0n) + amount.minor)
  }
  for (const sum of sums.values()) if (sum !== 0n) refuse('amount_invalid', 'the legs do not sum to zero')
}

/** One leg for each account: a statement shows an entry once. */
function checkAccounts(accountIds: readonly string[]): void {
  if (new Set(accountIds).size < accountIds.length) refuse('account_not_usable', 'an entry has one leg for each account')
}
