import type { Database } from '@bankside/service-kit/postgres'
import { BadCheckpoint, type LogVerifiers } from './checkpoint.ts'
import type { Finding } from './compare-rows.ts'
import { type Beginning, findBeginning, isLater } from './log-beginning.ts'
import type { GrowingTree } from './merkle-tree.ts'
import { readingSnapshot } from './reading-snapshot.ts'
import { firstLog } from './seal-rows.ts'
import { checkpointName, ofLog } from './stored-checkpoints.ts'
import type { KeptCheckpoint } from './verify-audit.ts'

export const nameOfLeaf = (log: number, leaf: number): string => `leaf ${leaf}${ofLog(log)}`
export const nameOfLeaves = (log: number, from: number, to: number): string => `leaves ${from} to ${to}${ofLog(log)}`

/** What each log says that follows another, and the checkpoints that it names: they count as any that was kept. */
export async function readBeginnings(
  database: Database,
  current: number,
  verifiers: LogVerifiers,
  findings: Finding[],
): Promise<{ beginnings: Beginning[]; named: KeptCheckpoint[] }> {
  const beginnings: Beginning[] = []
  for (let log = firstLog + 1; log <= current; log++)
    try {
      const beginning = await readingSnapshot(database, (tx) => findBeginning(tx, log, verifiers))
      if (beginning !== undefined) beginnings.push(beginning)
    } catch (error) {
      if (!(error instanceof BadCheckpoint)) throw error
      findings.push({ table: 'audit.seal', id: nameOfLeaf(log, 0), what: 'changed', detail: error.message })
    }
  const named = beginnings.flatMap(({ log, ended, met }) =>
    [ended, ...(met === undefined ? [] : [met])].map((checkpoint) => ({ ...checkpoint, from: `the beginning of log ${log}` })),
  )
  return { beginnings, named }
}

/** Whether the database no longer had it when another log began, and that log names it, or a later one, as the end. */
export const wasLost = (checkpoint: KeptCheckpoint, beginnings: readonly Beginning[]): boolean =>
  beginnings.some(({ log, ended, tree }) => checkpoint.log < log && isLater(checkpoint, tree) && !isLater(checkpoint, ended))

/** More was signed of a log than the next one says: whoever began that one hides an end. */
export const beyondTheirEnd = (kept: readonly KeptCheckpoint[], beginnings: readonly Beginning[]): Finding[] =>
  beginnings.flatMap(({ log, ended }) =>
    kept
      .filter((one) => one.log < log && isLater(one, ended))
      .map((one): Finding => {
        const detail = `it says that ${ended.origin} ended with ${ended.size} leaves; ${one.from} has a checkpoint of ${one.size} of ${one.origin}`
        return { table: 'audit.seal', id: nameOfLeaf(log, 0), what: 'changed', detail }
      }),
  )

/** Checkpoints of logs that are not there, and a log that nobody who has the key has begun. */
export function withoutALog(checkpoints: readonly KeptCheckpoint[], current: number, beginnings: readonly Beginning[]): Finding[] {
  const logs = new Set([firstLog, ...beginnings.map(({ log }) => log)])
  const missing = [...Map.groupBy(checkpoints, ({ log }) => log)].flatMap(([log, those]): Finding[] => {
    const last = those.filter((one) => !wasLost(one, beginnings)).toSorted((one, other) => other.size - one.size)[0]
    if (logs.has(log) || last === undefined) return []
    const id = checkpointName(log, last.size)
    return [{ table: 'audit.checkpoint', id, what: 'missing', detail: `${last.from} has it, and its log is not there as it began` }]
  })
  const unsigned = [...Array(current - firstLog).keys()]
    .map((index) => firstLog + 1 + index)
    .filter((log) => logs.has(log) && !checkpoints.some((one) => one.log === log))
    .map((log): Finding => {
      return {
        table: 'audit.seal',
        id: nameOfLeaf(log, 0),
        what: 'inserted',
        detail: 'nobody who has the key has signed that this log begins',
      }
    })
  return [...missing, ...unsigned]
}

/** A log that has ended stays as it was then, beyond what was signed of it, too. */
export function notAsItEnded(log: number, tree: GrowingTree, beginnings: readonly Beginning[]): Finding[] {
  return beginnings
    .filter((beginning) => beginning.tree.log === log && !(tree.size === beginning.tree.size && tree.root.equals(beginning.tree.root)))
    .map((beginning): Finding => {
      const detail = `it had ${beginning.tree.size} leaves when log ${beginning.log} began, and has ${tree.size} now, or others`
      return { table: 'audit.seal', id: nameOfLeaves(log, 0, Math.max(0, tree.size - 1)), what: 'changed', detail }
    })
}
