import { join } from 'node:path'
import { givingWay } from '@bankside/service-kit/giving-way'
import { type Database, sql, type Transaction, transact, violatedConstraint, z } from '@bankside/service-kit/postgres'
import { newAuditRecordId } from '../ids.ts'
import type { Archive } from './archive.ts'
import { type ArchivedRow, sha256OfFile, writeArchive } from './archive-file.ts'
import { compareLeaf } from './compare-rows.ts'
import { leavesOf } from './read-leaves.ts'
import { readingSnapshot as reading } from './reading-snapshot.ts'
import { readRowIndex } from './row-index.ts'
import { lastSeal, type Seal, sealsFrom } from './stored-tree.ts'
import { verifyArchive } from './verify-archive.ts'

export type ArchivableRecords = { readonly partition: string; readonly firstKey: string; readonly beforeKey: string; readonly dueAt: Date }

const archivableRow = z.object({ partition_name: z.string(), first_key: z.string(), before_key: z.string(), due_at: z.date() })

/** Partitions of audit records, the oldest first, and from when on each may be archived. */
export async function archivableRecords(tx: Transaction): Promise<ArchivableRecords[]> {
  const rows = await tx.any(sql.type(archivableRow)`select * from audit.partitions_to_archive()`)
  return rows.map((row) => ({ partition: row.partition_name, firstKey: row.first_key, beforeKey: row.before_key, dueAt: row.due_at }))
}

/** Why nothing was archived, for a person. */
export class CannotArchive extends Error {
  override name = 'CannotArchive'
}

type ArchiveOrder = { readonly partition: string; readonly folder: string; readonly actor: string; readonly now: Date }

/**
 * Writes the records of a partition into a file, each compared with its leaf; reads the file again, as it is on the disk, and compares that;
 * and only then drops the partition. What fails before that leaves the partition as it was, and at most a file to be written again. As
 * the database's owner.
 *
 * @throws {CannotArchive} where a record is not what was sealed, or not sealed yet; where it is too early.
 */
export async function archiveRecords(database: Database, { partition, folder, actor, now }: ArchiveOrder): Promise<Archive> {
  const { plan, last } = await reading(database, async (tx) => {
    return { plan: (await archivableRecords(tx)).find((one) => one.partition === partition), last: await lastSeal(tx) }
  })
  if (plan === undefined) throw new CannotArchive(`there is no partition ${partition} of audit records`)
  if (plan.dueAt > now) throw new CannotArchive(`${partition} is not to be archived before ${plan.dueAt.toISOString()}`)
  if (last === undefined) throw new CannotArchive('nothing is sealed yet')
  const head = { partition, firstKey: plan.firstKey, beforeKey: plan.beforeKey, log: last.log, beforeXact: last.beforeXact }
  const file = `audit.${partition}.jsonl.gz`
  const path = join(folder, file)
  let rows = 0
  const counted = async function* () {
    for await (const row of sealedRows(database, { ...head, dueAt: plan.dueAt })) {
      rows++
      yield row
    }
  }
  const sha256 = await writeArchive(path, { ...head, beforeXact: String(head.beforeXact) }, counted())
  const archive: Archive = { ...head, rows, file, sha256, archivedAt: now }
  const findings = await verifyArchive(database, archive, path)
  if (findings.length > 0 || (await sha256OfFile(path)) !== sha256) throw new CannotArchive(`${path} cannot be read as it was written`)
  await drop(database, archive, { actor, now })
  return archive
}

type Range = ArchivableRecords & { readonly log: number; readonly beforeXact: bigint }

const sealsAtOnce = 64

/** As the tree names them, so that none is left out; each as it was sealed. */
async function* sealedRows(database: Database, range: Range): AsyncIterable<ArchivedRow> {
  for (let leaf = 0; ; ) {
    const seals = await reading(database, (tx) => sealsFrom(tx, range.log, leaf, sealsAtOnce))
    for (const seal of seals) {
      leaf = seal.endLeaf
      if (seal.beforeXact <= range.beforeXact) yield* await reading(database, (tx) => rowsOfSeal(tx, seal, range))
    }
    if (seals.length < sealsAtOnce) return
  }
}

async function rowsOfSeal(tx: Transaction, seal: Seal, { firstKey, beforeKey }: Range): Promise<ArchivedRow[]> {
  const index = readRowIndex(seal.rowIndex)
  if (index?.length !== seal.leafHashes.length) throw notAsSealed(`the seal at leaf ${seal.firstLeaf}`)
  const wanted = index.flatMap((indexed, offset) =>
    indexed.table === 'audit.record' && indexed.key >= firstKey && indexed.key < beforeKey ? [{ indexed, offset }] : [],
  )
  if (wanted.length === 0) return []
  const keys = wanted.map(({ indexed }) => indexed.key)
  const found = new Map((await leavesOf(tx, 'audit.record', keys)).map((row) => [row.key, row]))
  return wanted.map(({ indexed, offset }) => {
    const row = found.get(indexed.key)
    if (row === undefined || compareLeaf(row, { seal, indexed, offset }).length > 0) throw notAsSealed(`record ${indexed.key}`)
    return { leaf: seal.firstLeaf + offset, key: row.key, writtenIn: String(row.writtenIn), row: row.row }
  })
}

const notAsSealed = (what: string) => new CannotArchive(`${what} is not what was sealed: npm run audit:verify says more`)

/** Those who read and write at this moment are waited for shortly, and let pass. */
const lockAttempts = 60

async function drop(database: Database, archive: Archive, { actor, now }: Pick<ArchiveOrder, 'actor' | 'now'>): Promise<void> {
  const { partition, log, beforeXact, rows, file, sha256 } = archive
  try {
    await givingWay(lockAttempts, () =>
      transact(database, (tx) =>
        tx.query(sql.unsafe`
          select audit.drop_archived(${partition}, ${log}, ${beforeXact}, ${rows}, ${file}, ${sha256}, ${newAuditRecordId(now)}, ${actor}, ${sql.timestamp(now)})`),
      ),
    )
  } catch (error) {
    if (violatedConstraint(error) === 'archive_is_whole')
      throw new CannotArchive(
        `${partition} has records that are not sealed yet, or were not when the file was written: try again in some seconds`,
      )
    if (violatedConstraint(error) === 'archive_is_due') throw new CannotArchive(`${partition} is not to be archived yet`)
    throw error
  }
}
