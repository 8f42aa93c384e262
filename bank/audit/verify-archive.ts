import type { Database, Transaction } from '@bankside/service-kit/postgres'
import type { Archive } from './archive.ts'
import { type ArchivedRow, rowsOfArchive, sha256OfFile } from './archive-file.ts'
import { compareLeaf, type Finding } from './compare-rows.ts'
import { readingSnapshot as reading } from './reading-snapshot.ts'
import { type IndexedLeaf, readRowIndex } from './row-index.ts'
import { type Seal, sealBefore } from './stored-tree.ts'

const rowsAtOnce = 4_096

/**
 * Reads an archive and compares each of its rows with the leaf that was made of it. That the tree has no more of them than the archive
 * says whoever goes through the tree (archive.ts); that the leaves are those which were signed, too.
 */
export async function verifyArchive(database: Database, archive: Archive, path: string): Promise<Finding[]> {
  const finding = (what: 'missing' | 'changed', detail: string): Finding => ({
    table: 'audit.archive',
    id: archive.partition,
    what,
    detail,
  })
  const sha256 = await sha256OfFile(path).catch(whereThereIsOne)
  if (sha256 === undefined) return [finding('missing', `${archive.file} is not there`)]
  if (sha256 !== archive.sha256) return [finding('changed', `SHA-256 of ${archive.file} is ${sha256}, and was ${archive.sha256}`)]
  const findings: Finding[] = []
  const seen: Seen = { rows: 0, last: -1, seal: undefined, index: [] }
  let some: ArchivedRow[] = []
  const compareSome = async () => {
    const rows = some
    some = []
    findings.push(...(await reading(database, (tx) => compareArchived(tx, archive, rows, seen))))
  }
  for await (const row of rowsOfArchive(path)) {
    some.push(row)
    if (some.length === rowsAtOnce) await compareSome()
  }
  await compareSome()
  if (seen.rows !== archive.rows) findings.push(finding('changed', `it holds ${seen.rows} rows, and says ${archive.rows}`))
  return findings
}

function whereThereIsOne(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}

type Seen = { rows: number; last: number; seal: Seal | undefined; index: readonly IndexedLeaf[] }

async function compareArchived(tx: Transaction, archive: Archive, rows: readonly ArchivedRow[], seen: Seen): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { leaf, key, writtenIn, row } of rows) {
    if (seen.seal === undefined || leaf >= seen.seal.endLeaf) {
      seen.seal = await sealBefore(tx, archive.log, leaf + 1)
      seen.index = (seen.seal && readRowIndex(seen.seal.rowIndex)) ?? []
    }
    const { seal } = seen
    const offset = leaf - (seal?.firstLeaf ?? 0)
    const indexed = seen.index[offset]
    // Each leaf once, in their order: so as many as there are of them are all of them.
    if (seal === undefined || indexed?.key !== key || indexed.table !== 'audit.record' || leaf <= seen.last)
      findings.push({ table: 'audit.record', id: key, what: 'inserted', detail: `leaf ${leaf} is of something else` })
    else findings.push(...compareLeaf({ table: 'audit.record', key, row, writtenIn: BigInt(writtenIn) }, { seal, indexed, offset }))
    seen.last = leaf
    seen.rows++
  }
  return findings
}
