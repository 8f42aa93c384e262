import { type Database, reading, sql, z } from '@bankside/service-kit/postgres'
import { BadCheckpoint, type LogVerifiers, openCheckpoint } from './checkpoint.ts'
import type { Finding } from './compare-rows.ts'
import { isLater } from './log-beginning.ts'
import { firstLog } from './seal-rows.ts'
import type { KeptCheckpoint } from './verify-audit.ts'

/** What stands in the database, and what is wrong with it: whoever owns the database may have written it. */
export async function storedCheckpoints(
  database: Database,
  verifiers: LogVerifiers,
): Promise<{ checkpoints: KeptCheckpoint[]; findings: Finding[] }> {
  const rows = await reading(
    database.any(sql.type(z.object({ log: z.number(), tree_size: z.bigint(), note: z.string() }))`
      select log, tree_size, note from audit.checkpoint where tree_size >= ${0} order by log, tree_size`),
  )
  const checkpoints: KeptCheckpoint[] = []
  const findings: Finding[] = []
  for (const { log, tree_size, note } of rows) {
    const changed = (detail: string) =>
      findings.push({ table: 'audit.checkpoint', id: checkpointName(log, tree_size), what: 'changed', detail })
    try {
      const checkpoint = openCheckpoint(note, verifiers)
      if (BigInt(checkpoint.size) === tree_size && checkpoint.log === log) checkpoints.push({ ...checkpoint, from: 'the database' })
      else changed(`its note is of ${checkpoint.size} leaves of ${checkpoint.origin}`)
    } catch (error) {
      if (!(error instanceof BadCheckpoint)) throw error
      changed(error.message)
    }
  }
  return { checkpoints, findings }
}

/** What one place has and the other lacks, up to what both could have. */
export function missingCheckpoints(
  { checkpoints: stored, findings }: Awaited<ReturnType<typeof storedCheckpoints>>,
  kept: readonly KeptCheckpoint[],
): Finding[] {
  const name = ({ log, size }: KeptCheckpoint) => checkpointName(log, size)
  const inDatabase = new Set([...stored.map(name), ...findings.map(({ id }) => id)])
  const inFile = new Set(kept.map(name))
  const last = kept.at(-1)
  const missing = (id: string, detail: string): Finding => ({ table: 'audit.checkpoint', id, what: 'missing', detail })
  return [
    ...kept.filter((one) => !inDatabase.has(name(one))).map((one) => missing(name(one), `${one.from} has it, the database has not`)),
    ...stored
      .filter((one) => last !== undefined && isLater(last, one) && !inFile.has(name(one)))
      .map((one) => missing(name(one), 'the database has it, the file has not')),
  ]
}

/** Its size; of a log that is not the first one, that too. */
export const checkpointName = (log: number, size: number | bigint): string => `${size}${ofLog(log)}`

/** Of the first log without its number, as it always was. */
export const ofLog = (log: number): string => (log === firstLog ? '' : ` of log ${log}`)
