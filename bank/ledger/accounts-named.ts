import type { AccountId } from '../ids.ts'
import type { Leg, Operation } from './movement.ts'

/** The accounts that an operation names. Where it takes up a hold or an entry, it may touch others, of which they tell. */
export function accountsNamedBy(operation: Operation): readonly AccountId[] {
  switch (operation.kind) {
    case 'transfer':
    case 'opening':
      return [operation.from, operation.to]
    case 'legs':
      return accountsOfLegs(operation.legs)
    case 'hold':
      return [operation.accountId]
    case 'capture':
      return [operation.to]
    case 'exchange':
      return [operation.from, operation.to, operation.positions.sold, operation.positions.bought, operation.residueTo]
    case 'reversal':
      return accountsOfLegs(operation.legs ?? [])
    case 'release':
      return []
  }
}

const accountsOfLegs = (legs: readonly Leg[]) => legs.flatMap(({ accountId, other }) => [accountId, other])
