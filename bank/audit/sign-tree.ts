import { type Database, sql, type Transaction, transact, z } from '@bankside/service-kit/postgres'
import { type Checkpoint, type LogSigner, openCheckpoint, signCheckpoint } from './checkpoint.ts'
import type { CheckpointLog } from './checkpoint-file.ts'
import type { GrowingTree } from './merkle-tree.ts'
import { beOnlySealer } from './seal-rows.ts'
import { BrokenTree, lastSeal, sealsFrom, treeOfSize } from './stored-tree.ts'

export type SigningNeeds = { readonly log: CheckpointLog; readonly signer: LogSigner; readonly now: Date }

const sealsAtOnce = 64

/**
 * Signs the tree as it is now, if it grew. What was signed last is read from outside the database, and the tree must begin as
 * it did then: nobody who rewrites the database gets the rewritten history signed. The tree was committed before, so no
 * checkpoint is ever ahead of it.
 *
 * @returns the checkpoint, or undefined when there is nothing new to sign.
 * @throws {BrokenTree} when the tree is not what was signed.
 */
export async function signTree(database: Database, { log, signer, now }: SigningNeeds): Promise<Checkpoint | undefined> {
  return transact(database, async (tx) => {
    if (!(await beOnlySealer(tx))) return undefined
    const note = await log.last()
    const before = note === undefined ? undefined : openCheckpoint(note, signer)
    const seal = await lastSeal(tx)
    const size = seal?.endLeaf ?? 0
    const sizeBefore = before?.size ?? 0
    if (size < sizeBefore) throw new BrokenTree(`the tree has ${size} leaves, and was signed with ${sizeBefore}`)
    const tree = await treeOfSize(tx, sizeBefore)
    assertAsSigned(tree, before)
    // What another process signed, or this one before it died.
    const others = await checkpointsAfter(tx, sizeBefore, signer)
    await growTo(tx, tree, size, async () => {
      if (others[0]?.size !== tree.size) return
      const [other] = others.splice(0, 1) as [Checkpoint]
      assertAsSigned(tree, other)
      await log.append(other.note)
    })
    if (others[0] !== undefined) throw new BrokenTree(`the tree has ${size} leaves, and was signed with ${others[0].size}`)
    if (before !== undefined) await keep(tx, before)
    if (size === sizeBefore || (await isSigned(tx, size))) return undefined
    const checkpoint = await signCheckpoint(signer, tree, now)
    await log.append(checkpoint.note)
    await keep(tx, checkpoint)
    return checkpoint
  })
}

export function assertAsSigned(tree: GrowingTree, checkpoint: Checkpoint | undefined): void {
  if (checkpoint !== undefined && !tree.root.equals(checkpoint.root))
    throw new BrokenTree(`the first ${checkpoint.size} leaves are not those that were signed at ${checkpoint.signedAt.toISOString()}`)
}

async function growTo(tx: Transaction, tree: GrowingTree, size: number, afterSeal: () => Promise<void>): Promise<void> {
  while (tree.size < size) {
    const seals = await sealsFrom(tx, tree.size, sealsAtOnce)
    if (seals.length === 0) throw new BrokenTree(`no seal holds leaf ${tree.size}`)
    for (const seal of seals) {
      if (seal.firstLeaf !== tree.size) throw new BrokenTree(`no seal holds leaf ${tree.size}`)
      for (const hash of seal.leafHashes) tree.append(hash)
      await afterSeal()
    }
  }
}

async function checkpointsAfter(tx: Transaction, size: number, signer: LogSigner): Promise<Checkpoint[]> {
  const rows = await tx.any(sql.type(z.object({ note: z.string() }))`
    select note from audit.checkpoint where tree_size > ${size} order by tree_size`)
  return rows.map(({ note }) => openCheckpoint(note, signer))
}

const isSigned = async (tx: Transaction, size: number): Promise<boolean> =>
  (await tx.maybeOne(sql.unsafe`select 1 from audit.checkpoint where tree_size = ${size}`)) !== null

/** A process that died between the file and the commit has it in the file only. */
async function keep(tx: Transaction, { size, note, signedAt }: Checkpoint): Promise<void> {
  await tx.query(sql.unsafe`
    insert into audit.checkpoint (tree_size, note, signed_at) values (${size}, ${note}, ${sql.timestamp(signedAt)}) on conflict do nothing`)
}
