import { randomBytes } from 'node:crypto'
import { type Database, sql, type Transaction, transact, z } from '@bankside/service-kit/postgres'
import { hashOfLeaf, type LeafRows, leafOf, saltsFrom } from './leaf.ts'
import type { TreeNode } from './merkle-tree.ts'
import { type LeafPlace, leafTables, readLeaves } from './read-leaves.ts'
import { readRowIndex, writeRowIndex } from './row-index.ts'
import { BrokenTree, insertNodes, type LogEnd, lastSeal, leavesPerSeal, lowestKeptLevel, type Seal, treeOfSize } from './stored-tree.ts'

/** That of a bank which never had to begin another. */
export const firstLog = 1
const saltBytes = 32

/**
 * Seals the next rows that were booked or recorded: those of transactions of which none is running any more, so none of them can
 * still be added to. One process seals at a time; nobody who books or records waits for it, or it for them.
 *
 * @returns how many leaves were added; fewer than {@link leavesPerSeal} when nothing is left.
 */
export async function sealRows(database: Database, { now }: { readonly now: Date }): Promise<number> {
  return await transact(database, (tx) => sealNext(tx, now))
}

async function sealNext(tx: Transaction, now: Date): Promise<number> {
  if (!(await beOnlySealer(tx))) return 0
  const last = await lastSeal(tx)
  const round = await nextRound(tx, last)
  if (round === undefined) return 0
  const found = await readLeaves(tx, { ...round, limit: leavesPerSeal + 1 })
  if (found.length === 0) return 0
  const leaves = found.slice(0, leavesPerSeal)
  const log = last?.log ?? firstLog
  const tree = await treeOfSize(tx, log, last?.endLeaf ?? 0)
  const { fromXact, beforeXact } = round
  const seal = { log, firstLeaf: tree.size, fromXact, beforeXact, endsRound: found.length <= leavesPerSeal, sealedAt: now }
  const hashes = await insertSeal(tx, seal, leaves)
  const nodes: TreeNode[] = []
  for (const hash of hashes) tree.append(hash, (node) => node.level >= lowestKeptLevel && nodes.push(node))
  await insertNodes(tx, log, nodes)
  return hashes.length
}

type NewSeal = Pick<Seal, 'log' | 'firstLeaf' | 'fromXact' | 'beforeXact' | 'endsRound' | 'sealedAt'>

/** @returns the hashes of its leaves. */
export async function insertSeal(tx: Transaction, seal: NewSeal, leaves: readonly LeafRows[]): Promise<Buffer[]> {
  const salt = randomBytes(saltBytes)
  const saltOf = saltsFrom(salt)
  const hashes = leaves.map((rows) => hashOfLeaf(leafOf(rows, saltOf)))
  await tx.query(sql.unsafe`
      insert into audit.seal (log, first_leaf, leaf_count, from_xact, before_xact, ends_round, sealed_at, salt, leaf_hashes, row_index, first_table, first_key)
      values (${seal.log}, ${seal.firstLeaf}, ${hashes.length}, ${seal.fromXact}, ${seal.beforeXact}, ${seal.endsRound}, ${sql.timestamp(seal.sealedAt)},
        ${sql.binary(salt)}, ${sql.binary(Buffer.concat(hashes))}, ${sql.binary(writeRowIndex(leaves))},
        ${leafTables.indexOf(leaves[0]?.table ?? 'ledger.entry')}, ${leaves[0]?.key ?? null})`)
  return hashes
}

/** Whether nobody else seals or signs. Ends with the transaction. */
export async function beOnlySealer(tx: Transaction): Promise<boolean> {
  if ((await tx.maybeOne(sql.unsafe`select only_one from audit.sealing for update skip locked`)) !== null) return true
  if (!(await tx.exists(sql.unsafe`select from audit.sealing`))) throw new BrokenTree('audit.sealing is empty: nobody can seal')
  return false
}

type Round = { readonly fromXact: bigint; readonly beforeXact: bigint; readonly after?: LeafPlace }

/** A round that was too large for one seal goes on behind its last leaf; the next one begins where it ends. */
async function nextRound(tx: Transaction, last: LogEnd | undefined): Promise<Round | undefined> {
  if (last !== undefined && !last.endsRound) {
    const after = lastPlaceOf(last)
    if (after === undefined) throw new BrokenTree(`the seal at leaf ${last.firstLeaf} does not say what it holds`)
    return { fromXact: last.fromXact, beforeXact: last.beforeXact, after }
  }
  const fromXact = last?.beforeXact ?? 0n
  const beforeXact = await settledBefore(tx)
  // After a restore from a dump the counter begins anew: rows would go unsealed in silence.
  if (beforeXact < fromXact)
    throw new BrokenTree(
      `transactions are sealed up to ${fromXact}, but the database has come to ${beforeXact} only: npm run audit:begin begins another log`,
    )
  return beforeXact === fromXact ? undefined : { fromXact, beforeXact }
}

/** Undefined where the seal does not say what it holds: somebody has changed it. */
export const lastPlaceOf = ({ rowIndex }: Pick<LogEnd, 'rowIndex'>): LeafPlace | undefined => rowIndex && readRowIndex(rowIndex)?.at(-1)

/** Transactions below are over: each was committed, and is seen from here on, or never will be. */
export async function settledBefore(tx: Transaction): Promise<bigint> {
  const { before } = await tx.one(sql.type(z.object({ before: z.bigint() }))`select ledger.settled_before() as before`)
  return before
}

/** How long the oldest record has waited to be sealed: a transaction that stays open keeps all that were begun after it waiting. */
export async function unsealedSeconds(database: Database, now: Date): Promise<number> {
  const { since } = await transact(database, (tx) =>
    tx.one(sql.type(z.object({ since: z.date().nullable() }))`
      select min(occurred_at) as since from audit.record
      where written_in >= coalesce((select before_xact from audit.seal order by log desc, first_leaf desc limit 1), 0)`),
  )
  return since === null ? 0 : Math.max(0, (now.getTime() - since.getTime()) / 1000)
}
