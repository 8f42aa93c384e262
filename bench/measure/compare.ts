import type { Client } from 'pg'
import type { Path } from '../load/path.ts'
import type { Target } from '../targets/target.ts'
import { measureRound, type Round } from './round.ts'

export type Sides = readonly [Target, Target]
export type Comparison = {
  readonly path: Path
  readonly names: readonly [string, string]
  readonly rounds: readonly (readonly [Round, Round])[]
}
export type Effort = { readonly rounds: number; readonly seconds: number }

const firstOperations = 48
/** V8 optimises what has run some thousand times: rounds before that would measure its interpreter. */
const warmUp = { operations: 2_000, seconds: 2, atMostSeconds: 8 }
/** What a round prepares is held in memory: requests, answers, latencies. */
const operationsPerRound = 60_000

/**
 * Measures one path on both sides in turn: first second, second first, first second… so that what changes on the
 * machine meanwhile meets both. Each round is as many operations as the side did in the given time before.
 */
export async function compare(
  admin: Client,
  compared: Sides,
  path: Path,
  effort: Effort,
  announce: (text: string) => void,
): Promise<Comparison> {
  const sides = (await path.sidesFrom?.(compared)) ?? compared
  const rates = [0, 0]
  const performed = [0, 0]
  const measure = async (side: 0 | 1, seconds: number) => {
    const planned = rates[side] === 0 ? firstOperations : Math.ceil((rates[side] ?? 0) * seconds)
    const round = await measureRound(admin, sides[side], path, Math.min(Math.max(planned, firstOperations), operationsPerRound))
    rates[side] = round.perSecond
    performed[side] = (performed[side] ?? 0) + round.operations
    return round
  }
  for (const side of [0, 1] as const) {
    const { perSecond } = await measure(side, 0)
    await measure(side, Math.min(Math.max(warmUp.seconds, warmUp.operations / perSecond), warmUp.atMostSeconds))
  }
  const rounds: [Round, Round][] = []
  for (let number = 0; number < effort.rounds; number++) {
    const firstGoes = number % 2 === 0
    const early = await measure(firstGoes ? 0 : 1, effort.seconds)
    const late = await measure(firstGoes ? 1 : 0, effort.seconds)
    rounds.push(firstGoes ? [early, late] : [late, early])
    announce(`${path.name}: round ${number + 1} of ${effort.rounds}`)
  }
  for (const side of [0, 1] as const) await path.conclude?.(sides[side], performed[side] ?? 0)
  sameEncryption(rounds)
  return { path, names: [sides[0].name, sides[1].name], rounds }
}

function sameEncryption(rounds: readonly (readonly [Round, Round])[]): void {
  const agreed = new Set(rounds.flat().map(({ negotiated }) => negotiated))
  if (agreed.size !== 1) throw new Error(`the two sides do not encrypt alike: ${[...agreed].join(' and ')}`)
}
