import type { AccountId, EntryId, HoldId } from '../../ids.ts'
import type { Currency, Money } from '../../money.ts'
import type { Leg, Movement, Operation } from '../movement.ts'
import { movementKey } from '../movement-key.ts'
import type { Rate } from '../rate.ts'
import type { Random } from './random.ts'

export type CurrencyAccounts = {
  readonly customers: readonly AccountId[]
  readonly internal: AccountId
  readonly fee: AccountId
  readonly position: AccountId
}

/** What movements can be made of. Grows while they are made. */
export type Stage = {
  readonly accounts: ReadonlyMap<Currency, CurrencyAccounts>
  readonly rates: readonly Rate[]
  readonly holds: { readonly id: HoldId; readonly currency: Currency }[]
  readonly entries: { readonly id: EntryId; readonly legs: readonly Leg[] }[]
  /** Asked before, to be asked again. */
  readonly asked: Movement[]
}

const words = { description: 'Random', reference: 'RANDOM' } as const
/** Wei of a thousand ether: far beyond 64 bits. */
const amountLimits: Partial<Record<Currency, bigint>> = { ETH: 10n ** 21n, BTC: 10n ** 11n }
const amountLimit = (currency: Currency) => amountLimits[currency] ?? 50_000n

/** A movement of any kind; one in twelve repeats an earlier one, or its key with another request. */
export function randomMovement(random: Random, stage: Stage, now: Date): Movement {
  if (stage.asked.length > 0 && random.chance(1 / 12)) {
    const earlier = random.chance(0.5) ? (stage.asked.at(-1) as Movement) : random.pick(stage.asked)
    return random.chance(0.7) ? earlier : { ...earlier, key: { ...earlier.key, requestHash: movementKeyOf(random).requestHash } }
  }
  const count = random.chance(0.15) ? 2 + random.below(3) : 1
  const [first, ...others] = Array.from({ length: count }, () => randomOperation(random, stage, now))
  const operations = onceEach([first as Operation, ...others])
  const movement: Movement = { key: movementKeyOf(random), operations, actor: 'random' }
  stage.asked.push(movement)
  return movement
}

function movementKeyOf(random: Random) {
  const key = `${random.below(2 ** 31)}-${random.below(2 ** 31)}`
  return movementKey({ clientId: 'random', method: 'COMMAND', endpoint: 'random', key, request: key })
}

/** A hold or an entry is taken up once in a movement. */
function onceEach(operations: readonly [Operation, ...Operation[]]): [Operation, ...Operation[]] {
  const seen = new Set<string>()
  const kept = operations.filter((operation) => {
    const target = 'holdId' in operation ? operation.holdId : 'entryId' in operation ? operation.entryId : undefined
    if (target !== undefined && seen.has(target)) return false
    if (target !== undefined) seen.add(target)
    return true
  })
  return kept as [Operation, ...Operation[]]
}

function randomOperation(random: Random, stage: Stage, now: Date): Operation {
  const currency = random.pick([...stage.accounts.keys()])
  const accounts = stage.accounts.get(currency) as CurrencyAccounts
  const amount: Money = { minor: random.amount(amountLimit(currency)), currency }
  const dice = random.below(100)
  if (dice < 35) return transfer(random, accounts, amount)
  if (dice < 45) return withFee(random, accounts, amount)
  if (dice < 62)
    return {
      kind: 'hold',
      accountId: random.pick(accounts.customers),
      amount,
      expiresAt: new Date(now.getTime() + random.below(3_600_000)),
    }
  if (dice < 78 && stage.holds.length > 0) return ofHold(random, stage)
  if (dice < 88 && stage.entries.length > 0) return reversal(random, stage)
  return exchange(random, stage) ?? transfer(random, accounts, amount)
}

/** Now and then to an account of another currency, to none, or from one of the bank's own, from which there is no end of it. */
function transfer(random: Random, { customers, internal }: CurrencyAccounts, amount: Money): Operation {
  const from = random.chance(0.2) ? internal : random.pick(customers)
  const to = random.chance(0.02) ? (`acc_${'0'.repeat(32)}` as const) : random.pick(customers)
  if (from === to) return { kind: 'transfer', from, to: internal, amount, ...words }
  const wrong: Money = random.chance(0.02) ? { minor: amount.minor, currency: amount.currency === 'GBP' ? 'EUR' : 'GBP' } : amount
  return { kind: 'transfer', from, to, amount: wrong, ...words }
}

function withFee(random: Random, { customers, internal, fee }: CurrencyAccounts, { minor, currency }: Money): Operation {
  const payer = random.pick(customers)
  const payee = random.pick(customers.filter((account) => account !== payer))
  const charged = random.amount(100n)
  const leg = (accountId: AccountId, amount: bigint): Leg => ({
    accountId,
    amount: { minor: amount, currency },
    other: accountId === payer ? payee : payer,
  })
  const tax = random.chance(0.5) ? [leg(internal, 1n)] : []
  const legs = [leg(payer, -(minor + charged + BigInt(tax.length))), leg(payee, minor), leg(fee, charged), ...tax]
  return { kind: 'legs', legs, ...words }
}

function ofHold(random: Random, { holds, accounts }: Stage): Operation {
  const { id: holdId, currency } = random.chance(0.7)
    ? (holds.at(-1 - random.below(Math.min(holds.length, 8))) as Stage['holds'][number])
    : random.pick(holds)
  if (random.chance(0.25)) return { kind: 'release', holdId }
  const to = random.pick([...(accounts.get(currency) as CurrencyAccounts).customers, (accounts.get(currency) as CurrencyAccounts).internal])
  const amountMinor = random.chance(0.5) ? undefined : random.amount(amountLimit(currency))
  return { kind: 'capture', holdId, to, amountMinor, keepsRest: random.chance(0.5), ...words }
}

function reversal(random: Random, { entries }: Stage): Operation {
  const { id: entryId, legs } = random.chance(0.7)
    ? (entries.at(-1 - random.below(Math.min(entries.length, 8))) as Stage['entries'][number])
    : random.pick(entries)
  const [first, second] = legs
  if (random.chance(0.4) || first === undefined || second === undefined) return { kind: 'reversal', entryId, ...words }
  const minor = (second.amount.minor < 0n ? -second.amount.minor : second.amount.minor) / BigInt(1 + random.below(3)) || 1n
  if (random.chance(0.6) || first.amount.currency !== second.amount.currency)
    return { kind: 'reversal', entryId, amountMinor: minor, ...words }
  const back = (leg: Leg, sign: bigint): Leg => ({ ...leg, amount: { minor: sign * minor, currency: leg.amount.currency } })
  return {
    kind: 'reversal',
    entryId,
    legs: [back(first, first.amount.minor < 0n ? 1n : -1n), back(second, first.amount.minor < 0n ? -1n : 1n)],
    ...words,
  }
}

function exchange(random: Random, { accounts, rates }: Stage): Operation | undefined {
  const rate = random.pick(rates)
  const [sold, bought] = [accounts.get(rate.base) as CurrencyAccounts, accounts.get(rate.quote) as CurrencyAccounts]
  const minor = random.amount(amountLimit(rate.base))
  const [from, to] = [random.pick(sold.customers), random.pick(bought.customers)]
  const order = { kind: 'exchange', from, to, sold: { minor, currency: rate.base }, rate, ...words } as const
  return { ...order, positions: { sold: sold.position, bought: bought.position }, residueTo: sold.fee }
}
