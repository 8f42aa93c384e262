import { type Database, reading, sql, z } from '@bankside/service-kit/postgres'
import { BadCheckpoint, type LogVerifiers, openCheckpoint } from './checkpoint.ts'
import type { Finding } from './compare-rows.ts'
import type { KeptCheckpoint } from './verify-audit.ts'

/** What stands in the database, and what is wrong with it: whoever owns the database may have written it. */
export async function storedCheckpoints(
  database: Database,
  verifiers: LogVerifiers,
): Promise<{ checkpoints: KeptCheckpoint[]; findings: Finding[] }> {
  const rows = await reading(
    database.any(sql.type(z.object({ tree_size: z.bigint(), note: z.string() }))`
      select tree_size, note from audit.checkpoint where tree_size >= ${0} order by tree_size`),
  )
  const checkpoints: KeptCheckpoint[] = []
  const findings: Finding[] = []
  for (const { tree_size, note } of rows) {
    const changed = (detail: string) => findings.push({ table: 'audit.checkpoint', id: String(tree_size), what: 'changed', detail })
    try {
      const checkpoint = openCheckpoint(note, verifiers)
      if (BigInt(checkpoint.size) === tree_size) checkpoints.push({ ...checkpoint, from: 'the database' })
      else changed(`its note is of ${checkpoint.size} leaves`)
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
  const inDatabase = new Set([...stored.map(({ size }) => size), ...findings.map(({ id }) => Number(id))])
  const inFile = new Set(kept.map(({ size }) => size))
  const lastKept = Math.max(0, ...inFile)
  const missing = (size: number, detail: string): Finding => ({ table: 'audit.checkpoint', id: String(size), what: 'missing', detail })
  return [
    ...kept.filter(({ size }) => !inDatabase.has(size)).map(({ size, from }) => missing(size, `${from} has it, the database has not`)),
    ...stored
      .filter(({ size }) => size < lastKept && !inFile.has(size))
      .map(({ size }) => missing(size, 'the database has it, the file has not')),
  ]
}
