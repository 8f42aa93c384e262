import type { AccountId, EntryId, HoldId } from '../../ids.ts'
import type { Currency, Money } from '../../money.ts'
import { type Exchange, reckonExchange } from '../exchange.ts'
import type { Capture, Decline, Hold, Leg, Movement, Operation, Reversal } from '../movement.ts'
import { movementKeyRememberedMs } from '../movement-call.ts'

/**
 * The ledger as simply as it can be said: one movement after another, in maps. What the database does with many at once must
 * agree with it, answer by answer and balance by balance.
 */
export class Model {
  readonly accounts = new Map<AccountId, ModelAccount>()
  readonly holds = new Map<HoldId, ModelHold>()
  readonly entries = new Map<EntryId, ModelEntry>()
  readonly keys = new Map<string, { readonly requestHash: string; readonly madeAtMs: number; readonly movement: number }>()

  /** `first`: the number under which the movement was made that this one repeats. */
  apply(movement: Movement, number: number, now: Date): ModelOutcome {
    const known = this.keys.get(movement.key.id)
    if (known !== undefined && now.getTime() - known.madeAtMs < movementKeyRememberedMs)
      return known.requestHash === movement.key.requestHash ? { first: known.movement } : { declined: 'key_reused' }
    const undo = this.#snapshot()
    const effects: Effect[] = []
    for (const operation of movement.operations) {
      const effect = this.#operate(operation, now)
      if (typeof effect === 'string') {
        this.#restore(undo)
        return { declined: effect }
      }
      effects.push(effect)
    }
    this.keys.set(movement.key.id, { requestHash: movement.key.requestHash, madeAtMs: now.getTime(), movement: number })
    return { effects }
  }

  /** The ids that were given to what an accepted movement made. */
  name(effects: readonly Effect[], made: readonly (EntryId | HoldId)[]): void {
    const ids = [...made]
    for (const effect of effects) {
      if ('hold' in effect) this.holds.set(ids.shift() as HoldId, effect.hold)
      if ('entry' in effect) this.entries.set(ids.shift() as EntryId, effect.entry)
    }
  }

  #operate(operation: Operation, now: Date): Effect | Decline {
    switch (operation.kind) {
      case 'transfer':
      case 'opening': {
        const { from, to, amount } = operation
        return this.#book([legOf(from, negated(amount)), legOf(to, amount)])
      }
      case 'legs':
        return this.#book(operation.legs)
      case 'exchange':
        return this.#book(exchangeLegs(operation))
      case 'hold':
        return this.#hold(operation)
      case 'capture':
        return this.#capture(operation, now)
      case 'release':
        return this.#release(operation.holdId)
      case 'reversal':
        return this.#reverse(operation)
    }
  }

  #book(legs: readonly ModelLeg[], reversed?: ModelEntry): Effect | Decline {
    const problem = this.#problemOf(legs)
    if (problem !== undefined) return problem
    for (const { accountId, amount } of legs) this.#account(accountId).posted += amount.minor
    for (const { accountId, amount } of legs) if (amount.minor < 0n && available(this.#account(accountId)) < 0n) return 'insufficient_funds'
    const entry: ModelEntry = {
      legs,
      left: new Map(legs.map(({ accountId, amount }) => [accountId, amount.minor])),
      isReversal: reversed !== undefined,
    }
    if (reversed !== undefined)
      for (const { accountId, amount } of legs) reversed.left.set(accountId, (reversed.left.get(accountId) ?? 0n) + amount.minor)
    return { entry }
  }

  #problemOf(legs: readonly ModelLeg[]): Decline | undefined {
    for (const { accountId, amount } of legs) {
      const account = this.accounts.get(accountId)
      if (account === undefined) return 'account_not_found'
      if (account.currency !== amount.currency) return 'currency_mismatch'
      if (account.status === 'closed' || (account.status === 'frozen' && amount.minor < 0n)) return 'account_not_usable'
    }
    return undefined
  }

  #hold({ accountId, amount, expiresAt }: Hold): Effect | Decline {
    const account = this.accounts.get(accountId)
    if (account === undefined) return 'account_not_found'
    if (account.currency !== amount.currency) return 'currency_mismatch'
    if (account.status !== 'open') return 'account_not_usable'
    account.held += amount.minor
    if (available(account) < 0n) return 'insufficient_funds'
    return { hold: { accountId, currency: amount.currency, left: amount.minor, expiresAt, active: true } }
  }

  #capture({ holdId, to, amountMinor, keepsRest }: Capture, now: Date): Effect | Decline {
    const hold = this.holds.get(holdId)
    if (hold === undefined || !hold.active) return 'hold_not_active'
    if (hold.expiresAt <= now) return 'hold_expired'
    const minor = amountMinor ?? hold.left
    if (minor > hold.left) return 'hold_exceeded'
    if (hold.accountId === to) return 'account_not_usable'
    const debtor = this.#account(hold.accountId)
    const ends = keepsRest !== true || minor === hold.left
    debtor.held -= ends ? hold.left : minor
    hold.left -= minor
    hold.active = !ends
    const money = (amount: bigint): Money => ({ minor: amount, currency: hold.currency })
    return this.#book([legOf(hold.accountId, money(-minor)), legOf(to, money(minor))])
  }

  #release(holdId: HoldId): Effect | Decline {
    const hold = this.holds.get(holdId)
    if (hold === undefined || !hold.active) return 'hold_not_active'
    this.#account(hold.accountId).held -= hold.left
    hold.active = false
    return {}
  }

  #reverse({ entryId, amountMinor, legs }: Reversal): Effect | Decline {
    const entry = this.entries.get(entryId)
    if (entry === undefined || entry.isReversal) return 'entry_not_reversible'
    if ([...entry.left.values()].every((minor) => minor === 0n)) return 'entry_reversed'
    if (legs !== undefined) return exceeds(entry, legs) ? 'reversal_exceeded' : this.#book(legs, entry)
    if (amountMinor !== undefined && entry.legs.length !== 2) return 'entry_not_reversible'
    const whole = entry.legs.map(({ accountId, amount }) => {
      const left = entry.left.get(accountId) ?? 0n
      const minor = amountMinor === undefined ? -left : amount.minor < 0n ? amountMinor : -amountMinor
      return legOf(accountId, { minor, currency: amount.currency })
    })
    if (amountMinor !== undefined && exceeds(entry, whole)) return 'reversal_exceeded'
    return this.#book(
      whole.filter(({ amount }) => amount.minor !== 0n),
      entry,
    )
  }

  #account(accountId: AccountId): ModelAccount {
    const account = this.accounts.get(accountId)
    if (account === undefined) throw new Error(`the model has no account ${accountId}`)
    return account
  }

  #snapshot(): Snapshot {
    return {
      accounts: [...this.accounts.values()].map((account) => ({ account, ...account })),
      holds: [...this.holds.values()].map((hold) => ({ hold, ...hold })),
      entries: [...this.entries.values()].map(({ left }) => ({ left, before: [...left] })),
    }
  }

  #restore({ accounts, holds, entries }: Snapshot): void {
    for (const { account, posted, held } of accounts) Object.assign(account, { posted, held })
    for (const { hold, left, active } of holds) Object.assign(hold, { left, active })
    for (const { left, before } of entries) for (const [accountId, minor] of before) left.set(accountId, minor)
  }
}

type Snapshot = {
  readonly accounts: readonly (ModelAccount & { readonly account: ModelAccount })[]
  readonly holds: readonly (ModelHold & { readonly hold: ModelHold })[]
  readonly entries: readonly { readonly left: Map<AccountId, bigint>; readonly before: readonly (readonly [AccountId, bigint])[] }[]
}
export type ModelAccount = {
  currency: Currency
  limited: boolean
  status: 'open' | 'frozen' | 'closed'
  posted: bigint
  held: bigint
  overdraft: bigint
}
type ModelHold = { accountId: AccountId; currency: Currency; left: bigint; expiresAt: Date; active: boolean }
type ModelLeg = Pick<Leg, 'accountId' | 'amount'>
/** `left`: of each account, what was booked less what was taken back. */
type ModelEntry = { readonly legs: readonly ModelLeg[]; readonly left: Map<AccountId, bigint>; readonly isReversal: boolean }
type Effect = { readonly entry: ModelEntry } | { readonly hold: ModelHold } | { readonly [none: string]: never }
export type ModelOutcome = { readonly effects: readonly Effect[] } | { readonly first: number } | { readonly declined: Decline }

const negated = ({ minor, currency }: Money): Money => ({ minor: -minor, currency })
const legOf = (accountId: AccountId, amount: Money): ModelLeg => ({ accountId, amount })
const available = ({ limited, posted, held, overdraft }: ModelAccount) => (limited ? posted - held + overdraft : 0n)
const exceeds = ({ left }: ModelEntry, legs: readonly ModelLeg[]) =>
  legs.some(({ accountId, amount: { minor } }) => {
    const rest = left.get(accountId) ?? 0n
    return rest * minor >= 0n || (minor < 0n ? -minor : minor) > (rest < 0n ? -rest : rest)
  })

function exchangeLegs({ from, to, sold, rate, positions, residueTo }: Exchange): ModelLeg[] {
  const { bought, priced, residue } = reckonExchange(sold, rate)
  return [
    ...[legOf(from, negated(sold)), legOf(positions.sold, priced), legOf(residueTo, residue)],
    ...[legOf(positions.bought, negated(bought)), legOf(to, bought)],
  ].filter(({ amount }) => amount.minor !== 0n)
}
