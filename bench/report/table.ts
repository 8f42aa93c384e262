import type { Spread } from './statistics.ts'
import type { PathSummary, SideSummary } from './summary.ts'

const columns = [
  'path',
  'side',
  'ops/s',
  'p50 ms',
  'p99 ms',
  'main µs',
  'pool µs',
  'PG µs',
  'ops/s/core',
  'ratio (least–most)',
  'CPU ratio',
  'wanted',
] as const

/** Two lines a path: the first side with the ratios, then the one it is compared with. */
export function renderTable(paths: readonly PathSummary[]): string {
  const lines = paths.flatMap(({ path, names, leastRatio, sides: [first, second], ratio, settledRatio, cpuRatio }) => [
    [path, names[0], ...sideCells(first), spreadText(ratio), cpuRatio ? `${cpuRatio.median.toFixed(2)}x` : '–', `${leastRatio}x`],
    ['', names[1], ...sideCells(second), '', '', ''],
    ...(settledRatio
      ? [['  until it is posted', names[0], count(first.settledPerSecond), '', '', '', '', '', '', spreadText(settledRatio), '', '']]
      : []),
  ])
  const all = [[...columns], ...lines]
  const widths = columns.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)))
  return all
    .map((line) =>
      line.map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  '),
    )
    .map((line) => line.trimEnd())
    .join('\n')
}

function sideCells({ perSecond, p50Ms, p99Ms, mainUs, poolUs, postgresUs, totalUs }: SideSummary): string[] {
  const perCore = totalUs === undefined ? undefined : 1e6 / totalUs
  return [count(perSecond), p50Ms.toFixed(1), p99Ms.toFixed(1), ...[mainUs, poolUs, postgresUs, perCore].map(count)]
}

const count = (value: number | undefined) => (value === undefined ? '–' : Math.round(value).toLocaleString('en-GB'))
const spreadText = ({ median, least, most }: Spread) => `${median.toFixed(2)}x (${least.toFixed(2)}–${most.toFixed(2)})`

export type Verdict = { readonly slower: readonly string[]; readonly short: readonly string[]; readonly sentence: string }

/** Whether the promise of the bench holds (nothing is slower than its peer), and which paths are not yet as fast as wanted. */
export function verdict(paths: readonly PathSummary[]): Verdict {
  const named = (fails: (path: PathSummary) => boolean) => paths.filter(fails).map(({ path }) => path)
  const slower = named(
    ({ ratio, settledRatio, leastRatio }) =>
      ratio.median < Math.min(1, leastRatio) || (settledRatio?.median ?? 1) < Math.min(1, leastRatio),
  )
  const short = named(({ path, ratio, leastRatio }) => ratio.median < leastRatio && !slower.includes(path))
  const sentences = [
    slower.length === 0 ? 'No path is slower than its naive peer.' : `Slower than the naive peer: ${slower.join('; ')}.`,
    ...(short.length === 0 ? [] : [`Not as fast as wanted: ${short.join('; ')}.`]),
  ]
  return { slower, short, sentence: sentences.join(' ') }
}

/** Beyond this the numbers say more about the neighbours. */
const foreignCoresAtMost = 0.25

/** A warning when something else ran meanwhile. */
export function quietness(paths: readonly PathSummary[]): string | undefined {
  const most = Math.max(0, ...paths.map(({ foreignCores }) => foreignCores ?? 0))
  if (most <= foreignCoresAtMost) return undefined
  return `Do not quote these numbers: other programs kept up to ${most.toFixed(1)} cores busy meanwhile.`
}
