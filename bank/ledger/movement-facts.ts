import { formatMoney } from '../money.ts'
import type { Leg, Operation } from './movement.ts'

/** How the audit log calls what makes no entry: an entry says itself who asked for it. */
export const recordedActions = { hold: 'ledger.held', release: 'ledger.released' } as const

/** What an operation was asked to do, for whoever is told of it: ids and amounts, no names. */
export function operationFacts(operation: Operation): object {
  switch (operation.kind) {
    case 'transfer':
    case 'opening':
      return { kind: operation.kind, from: operation.from, to: operation.to, ...moneyFacts(operation.amount) }
    case 'legs':
      return { kind: 'legs', legs: operation.legs.map(legFacts) }
    case 'hold':
      return { kind: 'hold', account: operation.accountId, ...moneyFacts(operation.amount) }
    case 'capture':
      return { kind: 'capture', hold: operation.holdId, to: operation.to, amountMinor: operation.amountMinor?.toString() }
    case 'release':
      return { kind: 'release', hold: operation.holdId }
    case 'reversal':
      return {
        kind: 'reversal',
        entry: operation.entryId,
        amountMinor: operation.amountMinor?.toString(),
        legs: operation.legs?.map(legFacts),
      }
    case 'exchange': {
      const { from, to, sold, rate } = operation
      return {
        kind: 'exchange',
        from,
        to,
        ...moneyFacts(sold),
        into: rate.quote,
        rate: `${rate.units}e-${rate.scale}`,
        source: rate.source,
      }
    }
  }
}

const moneyFacts = (amount: Leg['amount']) => ({ amount: formatMoney(amount), currency: amount.currency })
const legFacts = ({ accountId, amount }: Leg) => ({ account: accountId, ...moneyFacts(amount) })
