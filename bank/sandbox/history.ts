import type { Person } from './people.ts'

/** One movement in a person's history. Positive: money comes in. Between own accounts when `toAccount` is given. */
export type Movement = {
  readonly at: Date
  /** Position in the person's list. */
  readonly account: number
  readonly toAccount?: number
  /** Of other banks, unless it goes to an own account. */
  readonly counterparty: string
  readonly amountMinor: bigint
  readonly description: string
  readonly reference: string
}

export const historyDays = 90
const dayMs = 24 * 60 * 60 * 1000

/** About ninety days of somebody's life, oldest first; the same whenever it is asked for, but for the dates. */
export function historyOf(person: Person, now: Date): readonly Movement[] {
  const random = randomNumbers(person.username)
  const midnight = now.getTime() - (now.getTime() % dayMs)
  const days = Array.from({ length: historyDays }, (_, index) => new Date(midnight - (historyDays - index) * dayMs))
  return days
    .flatMap((day) => [...monthly(person, day), ...daily(person, day, random), ...abroad(person, day, random)])
    .toSorted((one, other) => one.at.getTime() - other.at.getTime())
}

const at = (day: Date, hour: number, minute = 0) => new Date(day.getTime() + (hour * 60 + minute) * 60_000)

/** Salary on pay day, rent on the 1st, savings on the 2nd, subscriptions mid-month. */
function* monthly({ life }: Person, day: Date): Generator<Movement> {
  const date = day.getUTCDate()
  if (date === life.payDay)
    yield {
      at: at(day, 3),
      account: 0,
      counterparty: life.employer,
      amountMinor: life.salaryMinor,
      description: 'Salary',
      reference: 'SALARY',
    }
  if (date === 1)
    yield { at: at(day, 6), account: 0, counterparty: life.landlord, amountMinor: -life.rentMinor, description: 'Rent', reference: 'RENT' }
  if (date === 2)
    yield {
      at: at(day, 6, 30),
      account: 0,
      toAccount: 1,
      counterparty: '',
      amountMinor: -life.savingsMinor,
      description: 'Monthly saving',
      reference: 'SAVE',
    }
  if (date === 14)
    yield {
      at: at(day, 5),
      account: 0,
      counterparty: 'Brightline Energy',
      amountMinor: -8_640n,
      description: 'Gas and electricity',
      reference: 'BE-77120',
    }
  if (date === 17)
    yield {
      at: at(day, 5, 15),
      account: 0,
      counterparty: 'Fennel Mobile',
      amountMinor: -1_850n,
      description: 'Mobile plan',
      reference: 'FM-2210',
    }
}

/** Groceries twice a week, a coffee, a ticket, a meal now and then. */
function* daily({ life }: Person, day: Date, random: () => number): Generator<Movement> {
  if (day.getUTCDay() === 3 || day.getUTCDay() === 6)
    yield {
      at: at(day, 18, Math.floor(random() * 60)),
      account: 0,
      counterparty: life.grocer,
      amountMinor: -between(random, 1_850, 6_900),
      description: `Card payment to ${life.grocer}`,
      reference: 'CARD',
    }
  const haunt = life.haunts[Math.floor(random() * life.haunts.length)]
  if (random() < 0.55 && haunt !== undefined)
    yield {
      at: at(day, 12, Math.floor(random() * 60)),
      account: 0,
      counterparty: haunt,
      amountMinor: -between(random, 320, 2_400),
      description: `Card payment to ${haunt}`,
      reference: 'CARD',
    }
}

/** The euro account is for holidays. */
function* abroad({ accounts }: Person, day: Date, random: () => number): Generator<Movement> {
  const euros = accounts.findIndex(({ currency }) => currency === 'EUR')
  if (euros < 0 || random() > 0.06) return
  yield {
    at: at(day, 20),
    account: euros,
    counterparty: 'Hotel Miramar',
    amountMinor: -between(random, 600, 1_900),
    description: 'Card payment to Hotel Miramar',
    reference: 'CARD',
  }
}

const between = (random: () => number, least: number, most: number): bigint => BigInt(least + Math.floor(random() * (most - least)))

/** mulberry32, begun by a name: enough for groceries, never for a secret. */
function randomNumbers(name: string): () => number {
  let state = [...name].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), 7)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
