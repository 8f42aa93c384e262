import type { Reason, Verdict } from './payment-check.ts'

/** Facts are whole numbers: amounts in whole units of their currency, yes and no as 1 and 0. */
export type Facts = Readonly<Record<Fact, bigint>>
export type Fact = 'amount' | 'paid_in_a_day' | 'payments_in_an_hour' | 'new_payee' | 'new_device' | 'hour'

/** Gives its points to a payment whose fact lies from `atLeast` to below `below`. */
export type Rule = {
  readonly id: string
  readonly fact: Fact
  readonly atLeast: bigint | null
  readonly below: bigint | null
  readonly points: number
  readonly words: string
}
export type Threshold = { readonly verdict: Exclude<Verdict, 'pass'>; readonly atLeast: number }

/** Adds up the rules that apply, never below nothing, and says which they were. */
export function score(facts: Facts, rules: readonly Rule[], thresholds: readonly Threshold[]) {
  const applied = rules.filter(({ fact, atLeast, below }) => {
    const value = facts[fact]
    return (atLeast === null || value >= atLeast) && (below === null || value < below)
  })
  const reasons: Reason[] = applied.map(({ id, fact, points, words }) => ({ rule: id, points, words, fact: String(facts[fact]) }))
  const total = Math.max(
    0,
    reasons.reduce((sum, { points }) => sum + points, 0),
  )
  return { score: total, reasons, verdict: verdictOf(total, thresholds) }
}

function verdictOf(total: number, thresholds: readonly Threshold[]): Verdict {
  const reached = thresholds.filter(({ atLeast }) => total >= atLeast).map(({ verdict }) => verdict)
  if (reached.includes('refuse')) return 'refuse'
  return reached.includes('review') ? 'review' : 'pass'
}
