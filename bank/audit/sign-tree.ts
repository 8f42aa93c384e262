import { type Database, reading, sql, type Transaction, transact, z } from '@bankside/service-kit/postgres'
import { BadCheckpoint, type Checkpoint, type LogSigner, logsMaybeCalled, openCheckpoint, parseNote, signCheckpoint } from './checkpoint.ts'
import type { CheckpointLog } from './checkpoint-file.ts'
import { type Beginning, findBeginning, isLater } from './log-beginning.ts'
import type { GrowingTree } from './merkle-tree.ts'
import { beOnlySealer, firstLog } from './seal-rows.ts'
import { BrokenTree, lastSeal, sealsFrom, treeOfSize } from './stored-tree.ts'

export type SigningNeeds = { readonly log: CheckpointLog; readonly signer: LogSigner; readonly now: Date }

const sealsAtOnce = 64
const beginAnother = 'npm run audit:begin begins another log'

/**
 * Signs the tree as it is now, if it grew. What was signed last is read from outside the database, and the tree must begin as
 * it did then: nobody who rewrites the database gets the rewritten history signed. The tree was committed before, so no
 * checkpoint is ever ahead of it.
 *
 * @returns the checkpoint, or undefined when there is nothing new to sign.
 * @throws {BrokenTree} when the tree is not what was signed.
 */
export async function signTree(database: Database, { log: file, signer, now }: SigningNeeds): Promise<Checkpoint | undefined> {
  return transact(database, async (tx) => {
    if (!(await beOnlySealer(tx))) return undefined
    const note = await file.last()
    const seal = await lastSeal(tx)
    const log = seal?.log ?? firstLog
    const before = await lastOf(tx, log, note === undefined ? undefined : openCheckpoint(note, signer), signer)
    const size = seal?.endLeaf ?? 0
    const sizeBefore = before?.size ?? 0
    if (size < sizeBefore)
      throw new BrokenTree(`the tree has ${size} leaves, and was signed with ${sizeBefore}: after a restore or a failover, ${beginAnother}`)
    const tree = await treeOfSize(tx, log, sizeBefore)
    assertAsSigned(tree, before)
    // What another process signed, or this one before it died.
    const others = await checkpointsAfter(tx, { log, size: sizeBefore }, signer)
    await growTo(tx, { log, tree, size }, async () => {
      if (others[0]?.size !== tree.size) return
      const [other] = others.splice(0, 1) as [Checkpoint]
      assertAsSigned(tree, other)
      await file.append(other.note)
    })
    if (others[0] !== undefined) throw new BrokenTree(`the tree has ${size} leaves, and was signed with ${others[0].size}`)
    if (before !== undefined) await keep(tx, before)
    if (size === sizeBefore || (await isSigned(tx, log, size))) return undefined
    const checkpoint = await signCheckpoint(signer, { log, size: tree.size, root: tree.root }, now)
    await file.append(checkpoint.note)
    await keep(tx, checkpoint)
    return checkpoint
  })
}

/**
 * Whether the database still has the checkpoint that was signed last. Without it nothing is sealed: after a failover that lost commits, the tree would
 * soon be as large as the one that was signed, and another. Whoever signs makes good what only a process that died left out.
 */
export async function hasLastSigned(database: Database, file: CheckpointLog): Promise<boolean> {
  const note = await file.last()
  if (note === undefined) return true
  const { origin, size } = parseNote(note)
  const logs = sql.array(logsMaybeCalled(origin), 'int4')
  return reading(
    database.exists(sql.unsafe`select from audit.checkpoint where log = any (${logs}) and tree_size = ${size} and note = ${note}`),
  )
}

/**
 * What of this log was signed last, as the file has it. Only whoever holds the key begins another log, and signs its beginning: a file
 * that does not know of it yet takes it over where it names all that the file has of the one before.
 */
async function lastOf(tx: Transaction, log: number, before: Checkpoint | undefined, signer: LogSigner): Promise<Checkpoint | undefined> {
  if (before?.log === log || (before === undefined && log === firstLog)) return before
  if (before !== undefined && before.log > log)
    throw new BrokenTree(`it has come to log ${log}, and log ${before.log} was signed: after a restore or a failover, ${beginAnother}`)
  const [signed] = await checkpointsAfter(tx, { log, size: 0 }, signer)
  if (signed === undefined) throw new BrokenTree(`it begins log ${log}, which nobody who has the key has begun`)
  for (let later = before === undefined ? log : before.log + 1; later <= log; later++) {
    const beginning = await beginningOf(tx, later, signer)
    if (before !== undefined && beginning !== undefined && isLater(before, beginning.ended))
      throw new BrokenTree(`log ${later} says that ${before.origin} ended before ${before.size} leaves, which were signed`)
  }
  return undefined
}

async function beginningOf(tx: Transaction, log: number, signer: LogSigner): Promise<Beginning | undefined> {
  try {
    return await findBeginning(tx, log, signer)
  } catch (error) {
    throw error instanceof BadCheckpoint ? new BrokenTree(`log ${log} cannot be signed: ${error.message}`) : error
  }
}

export function assertAsSigned(tree: GrowingTree, checkpoint: Checkpoint | undefined): void {
  if (checkpoint !== undefined && !tree.root.equals(checkpoint.root))
    throw new BrokenTree(`the first ${checkpoint.size} leaves are not those that were signed at ${checkpoint.signedAt.toISOString()}`)
}

type Growing = { readonly log: number; readonly tree: GrowingTree; readonly size: number }

async function growTo(tx: Transaction, { log, tree, size }: Growing, afterSeal: () => Promise<void>): Promise<void> {
  while (tree.size < size) {
    const seals = await sealsFrom(tx, log, tree.size, sealsAtOnce)
    if (seals.length === 0) throw new BrokenTree(`no seal holds leaf ${tree.size}`)
    for (const seal of seals) {
      if (seal.firstLeaf !== tree.size) throw new BrokenTree(`no seal holds leaf ${tree.size}`)
      for (const hash of seal.leafHashes) tree.append(hash)
      await afterSeal()
    }
  }
}

type LogSize = { readonly log: number; readonly size: number }

async function checkpointsAfter(tx: Transaction, { log, size }: LogSize, signer: LogSigner): Promise<Checkpoint[]> {
  const rows = await tx.any(sql.type(z.object({ note: z.string() }))`
    select note from audit.checkpoint where log = ${log} and tree_size > ${size} order by tree_size`)
  return rows.map(({ note }) => openCheckpoint(note, signer))
}

const isSigned = async (tx: Transaction, log: number, size: number): Promise<boolean> =>
  (await tx.maybeOne(sql.unsafe`select 1 from audit.checkpoint where log = ${log} and tree_size = ${size}`)) !== null

/** A process that died between the file and the commit has it in the file only. */
export async function keep(tx: Transaction, { log, size, note, signedAt }: Checkpoint): Promise<void> {
  await tx.query(sql.unsafe`
    insert into audit.checkpoint (log, tree_size, note, signed_at) values (${log}, ${size}, ${note}, ${sql.timestamp(signedAt)}) on conflict do nothing`)
}
