import type { Comparison } from '../measure/compare.ts'
import type { Round } from '../measure/round.ts'
import { median, type Spread, spread } from './statistics.ts'

export type SideSummary = {
  readonly perSecond: number
  readonly settledPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly mainUs: number | undefined
  readonly poolUs: number | undefined
  readonly postgresUs: number | undefined
  /** All CPU of an operation: 1e6 divided by it is operations per second of one fully used core. */
  readonly totalUs: number | undefined
}

export type PathSummary = {
  readonly path: string
  readonly consistsOf: string
  readonly names: readonly [string, string]
  /** What the ratio has to be. */
  readonly leastRatio: number
  readonly sides: readonly [SideSummary, SideSummary]
  /** First side to second, each pair of rounds by itself. Above 1 the first does more. */
  readonly ratio: Spread
  /** The same until everything is done that the answer promised. Undefined where nothing comes after the answer. */
  readonly settledRatio: Spread | undefined
  /** CPU of the second side to that of the first: above 1 the first needs less. */
  readonly cpuRatio: Spread | undefined
  readonly generatorShare: number
  readonly foreignCores: number | undefined
}

export function summarise({ path, names, rounds }: Comparison): PathSummary {
  const first = rounds.map(([round]) => round)
  const second = rounds.map(([, round]) => round)
  const settles = rounds.flat().some((round) => round.settledPerSecond !== round.perSecond)
  const cpu = rounds.map(([one, other]) => ratioOf(totalUs(other), totalUs(one)))
  return {
    path: path.name,
    consistsOf: path.consistsOf,
    names,
    leastRatio: path.leastRatio ?? 1,
    sides: [summariseSide(first), summariseSide(second)],
    ratio: spread(rounds.map(([one, other]) => one.perSecond / other.perSecond)),
    settledRatio: settles ? spread(rounds.map(([one, other]) => one.settledPerSecond / other.settledPerSecond)) : undefined,
    cpuRatio: cpu.every((ratio) => ratio !== undefined) ? spread(cpu) : undefined,
    generatorShare: median(rounds.flat().map(({ generatorShare }) => generatorShare)),
    foreignCores: medianIfKnown(rounds.flat().map(({ foreignCores }) => foreignCores)),
  }
}

function summariseSide(rounds: readonly Round[]): SideSummary {
  const of = (pick: (round: Round) => number) => median(rounds.map(pick))
  const known = (pick: (round: Round) => number | undefined) => medianIfKnown(rounds.map(pick))
  return {
    perSecond: of((round) => round.perSecond),
    settledPerSecond: of((round) => round.settledPerSecond),
    p50Ms: of((round) => round.p50Ms),
    p99Ms: of((round) => round.p99Ms),
    mainUs: known((round) => round.mainUs),
    poolUs: known((round) => round.poolUs),
    postgresUs: known((round) => round.postgresUs),
    totalUs: known(totalUs),
  }
}

function medianIfKnown(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === values.length ? median(known) : undefined
}

function totalUs({ mainUs, poolUs, postgresUs }: Round): number | undefined {
  return mainUs === undefined || poolUs === undefined || postgresUs === undefined ? undefined : mainUs + poolUs + postgresUs
}

const ratioOf = (numerator: number | undefined, denominator: number | undefined) =>
  numerator === undefined || denominator === undefined ? undefined : numerator / denominator
