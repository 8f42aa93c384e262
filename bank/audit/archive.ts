import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { Finding } from './compare-rows.ts'
import type { LeafPlace } from './read-leaves.ts'
import type { Seal } from './stored-tree.ts'

/** Records that are in a file and no longer in the database. Their leaves are in the tree. */
export type Archive = {
  readonly partition: string
  readonly firstKey: string
  readonly beforeKey: string
  readonly log: number
  readonly beforeXact: bigint
  readonly rows: number
  readonly file: string
  /** In hexadecimal, of the file as it is. */
  readonly sha256: string
  readonly archivedAt: Date
}

const archiveRow = z.object({
  partition_name: z.string(),
  first_key: z.string(),
  before_key: z.string(),
  log: z.number(),
  before_xact: z.bigint(),
  row_count: z.bigint(),
  file_name: z.string(),
  sha256: z.string(),
  archived_at: z.date(),
  is_recorded: z.boolean(),
})

type StoredArchives = { readonly archives: readonly Archive[]; readonly findings: readonly Finding[] }

/** Those that there are. Each was recorded when it was made, and the record is sealed: one that was not hides rows that are gone. */
export async function storedArchives(tx: Transaction): Promise<StoredArchives> {
  const rows = await tx.any(sql.type(archiveRow)`
    select a.*, exists (
      select from audit.record r where r.subject = a.partition_name and r.action = 'records.archived' and r.details = to_jsonb(a) - 'archived_at') as is_recorded
    from audit.archive a order by a.first_key`)
  return {
    archives: rows.map((row) => ({
      partition: row.partition_name,
      firstKey: row.first_key,
      beforeKey: row.before_key,
      log: row.log,
      beforeXact: row.before_xact,
      rows: Number(row.row_count),
      file: row.file_name,
      sha256: row.sha256,
      archivedAt: row.archived_at,
    })),
    findings: rows
      .filter(({ is_recorded }) => !is_recorded)
      .map(({ partition_name: id }) => ({
        table: 'audit.archive',
        id,
        what: 'inserted',
        detail: 'no record says that it was archived so',
      })),
  }
}

/** Whether a leaf is of a record that was archived. */
const isArchived = ({ firstKey, beforeKey, log, beforeXact }: Archive, seal: Seal, { table, key }: LeafPlace): boolean =>
  table === 'audit.record' && key >= firstKey && key < beforeKey && seal.log <= log && seal.beforeXact <= beforeXact

/** Counts the leaves whose rows are in an archive, as they are met, and those whose rows are in the database besides. */
export class ArchivedLeaves {
  readonly #archives: readonly Archive[]
  readonly #met = new Map<string, number>()
  readonly #stillThere = new Map<string, number>()

  constructor(archives: readonly Archive[]) {
    this.#archives = archives
  }

  /** @returns whether the row is in an archive, and so need not be in the database. */
  meet(seal: Seal, place: LeafPlace): boolean {
    const archive = this.#archives.find((one) => isArchived(one, seal, place))
    if (archive !== undefined && seal.log === archive.log) count(this.#met, archive)
    return archive !== undefined
  }

  /** Its row is in the database. */
  meetThere(seal: Seal, place: LeafPlace): void {
    for (const archive of this.#archives) if (seal.log === archive.log && isArchived(archive, seal, place)) count(this.#stillThere, archive)
  }

  /** A partition is dropped whole: what says that it was, and left some there, hides that others are gone. */
  findingsStillThere(): Finding[] {
    return [...this.#stillThere].map(([id, rows]) => {
      return { table: 'audit.archive', id, what: 'inserted', detail: `${rows} of the records that it says were dropped are still there` }
    })
  }

  /** When all leaves were met: each archive holds as many rows as it says. */
  findings(): Finding[] {
    return this.#archives.flatMap(({ partition: id, rows }): Finding[] => {
      const met = this.#met.get(id) ?? 0
      return met === rows
        ? []
        : [{ table: 'audit.archive', id, what: 'changed', column: 'row_count', detail: `it says ${rows}, the tree ${met}` }]
    })
  }
}

function count(counts: Map<string, number>, { partition }: Archive): void {
  counts.set(partition, (counts.get(partition) ?? 0) + 1)
}
