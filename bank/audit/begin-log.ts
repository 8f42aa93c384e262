import { givingWay } from '@bankside/service-kit/giving-way'
import { type Database, sql, type Transaction, transact, z } from '@bankside/service-kit/postgres'
import { newAuditRecordId } from '../ids.ts'
import { BadCheckpoint, type Checkpoint, type LogSigner, originOf, signCheckpoint } from './checkpoint.ts'
import type { CheckpointLog } from './checkpoint-file.ts'
import { type Beginning, type BeginningDetails, isLater, logBegun, readBeginning } from './log-beginning.ts'
import { leavesOf } from './read-leaves.ts'
import { beOnlySealer, firstLog, insertSeal, settledBefore } from './seal-rows.ts'
import { keep } from './sign-tree.ts'
import { BrokenTree, type LogEnd, lastSeal, treeOfSize } from './stored-tree.ts'

/** Why no log begins, for a person. */
export class CannotBegin extends Error {
  override name = 'CannotBegin'
}

export type LogOrder = {
  /** All that was signed and is kept outside the database: of whoever signs, and of witnesses. */
  readonly kept: readonly Checkpoint[]
  readonly file: CheckpointLog
  readonly signer: LogSigner
  readonly actor: string
  readonly why: string
  /** How much is not as it was sealed, besides what is missing at the end. */
  readonly findings: number
  readonly now: Date
}

/** Those who write at this moment are waited for shortly, and let pass. */
const lockAttempts = 60

/**
 * Begins the log that follows one which cannot go on: the database was restored from a dump, or is a replica that lacks the last commits, so
 * it has less than was signed, or counts transactions from where it already was. As the database's owner, and with the key.
 *
 * Nothing of the earlier log is changed. The first leaf of the later one names the last checkpoint that was signed of it, what the database
 * still has of it, by whom and why; then all rows that are there are sealed again, behind the payments as ever. Whoever has the
 * database alone can write such a leaf, but nobody signs it: the file outside has no checkpoint of the log.
 *
 * @throws {CannotBegin} where the log may go on, or somebody else has begun one.
 */
export async function beginLog(database: Database, order: LogOrder): Promise<Beginning> {
  const last = order.kept.toSorted((one, other) => (isLater(one, other) ? -1 : 1))[0]
  if (last === undefined) throw new CannotBegin('nothing was signed yet, so there is nothing to follow')
  const beginning = await givingWay(lockAttempts, () =>
    transact(database, async (tx) => {
      if (!(await beOnlySealer(tx))) throw new CannotBegin('somebody is sealing at this moment: try again')
      const seal = await lastSeal(tx)
      const log = seal?.log ?? firstLog
      return log > last.log ? begunBefore(tx, last, log, order) : await begin(tx, { last, seal, order })
    }),
  )
  await signFirst(database, beginning, order)
  return beginning
}

/** Whoever began it died before it was signed. */
async function begunBefore(tx: Transaction, last: Checkpoint, log: number, { signer, why }: LogOrder): Promise<Beginning> {
  try {
    const beginning = await readBeginning(tx, log, signer)
    if (beginning.ended.note === last.note && beginning.because === why) return beginning
  } catch (error) {
    if (!(error instanceof BadCheckpoint)) throw error
  }
  throw new CannotBegin(`the database is of log ${log} already, which nothing outside it knows of: find out who began it`)
}

type Begun = { readonly last: Checkpoint; readonly seal: LogEnd | undefined; readonly order: LogOrder }

async function begin(tx: Transaction, { last, seal, order }: Begun): Promise<Beginning> {
  const { kept, signer, now } = order
  const [treeLog, treeSize] = [seal?.log ?? firstLog, seal?.endLeaf ?? 0]
  const met = await lastMet(tx, treeLog, treeSize, kept)
  if (met?.note === last.note && (seal === undefined || (await settledBefore(tx)) >= seal.beforeXact))
    throw new CannotBegin(`the log goes on: the database has all ${last.size} leaves of ${last.origin} that were signed`)
  await keepLost(tx, kept)
  const { root } = await treeOfSize(tx, treeLog, treeSize)
  const counts = await tx.one(sql.type(z.object({ entries: z.bigint(), records: z.bigint() }))`
    select (select count(*) from ledger.entry) as entries, (select count(*) from audit.record) as records`)
  const log = last.log + 1
  const details: BeginningDetails = {
    begunBecause: order.why,
    endedCheckpoint: last.note,
    metCheckpoint: met?.note ?? null,
    ...{ treeLog, treeSize, treeRoot: root.toString('base64') },
    ...{ entryCount: Number(counts.entries), recordCount: Number(counts.records), findingCount: order.findings },
  }
  const recordId = newAuditRecordId(now)
  // In no transaction's number, so that the first leaf is a round by itself.
  await tx.query(sql.unsafe`
    insert into audit.record (record_id, occurred_at, actor, action, subject, details, written_in)
    values (${recordId}, ${sql.timestamp(now)}, ${order.actor}, ${logBegun}, ${originOf(signer.origin, log)}, ${JSON.stringify(details)}::jsonb, ${-log})`)
  const round = { log, firstLeaf: 0, fromXact: BigInt(-log), beforeXact: BigInt(1 - log), endsRound: true, sealedAt: now }
  await insertSeal(tx, round, await leavesOf(tx, 'audit.record', [recordId]))
  await tx.query(sql.unsafe`select ledger.count_transactions_on()`)
  return readBeginning(tx, log, signer)
}

/** What was signed and is no longer there is kept there again: it belongs to the history of the log, and only it. */
async function keepLost(tx: Transaction, kept: readonly Checkpoint[]): Promise<void> {
  const stored = await tx.maybeOne(
    sql.type(z.object({ log: z.number(), size: z.bigint() }))`
      select log, tree_size as size from audit.checkpoint where log > ${0} order by log desc, tree_size desc limit 1`,
  )
  const from = { log: stored?.log ?? 0, size: Number(stored?.size ?? 0) }
  for (const checkpoint of kept) if (isLater(checkpoint, from)) await keep(tx, checkpoint)
}

/** The newest of what was signed to which the tree still leads. */
async function lastMet(tx: Transaction, log: number, size: number, kept: readonly Checkpoint[]): Promise<Checkpoint | undefined> {
  const there = kept.filter((one) => one.log === log && one.size <= size).toSorted((one, other) => other.size - one.size)
  for (const checkpoint of there)
    try {
      const { root } = await treeOfSize(tx, log, checkpoint.size)
      if (root.equals(checkpoint.root)) return checkpoint
    } catch (error) {
      if (!(error instanceof BrokenTree)) throw error
    }
  return undefined
}

/** When it is committed, so that no checkpoint is ever ahead of the tree. */
async function signFirst(database: Database, { log, ended }: Beginning, { signer, file, now }: LogOrder): Promise<void> {
  await transact(database, async (tx) => {
    if ((await readBeginning(tx, log, signer)).ended.note !== ended.note) throw new CannotBegin(`log ${log} begins otherwise now`)
    const { root } = await treeOfSize(tx, log, 1)
    const checkpoint = await signCheckpoint(signer, { log, size: 1, root }, now)
    await file.append(checkpoint.note)
    await keep(tx, checkpoint)
  })
}

/** Of what was kept, what the database could have: what comes after is missing with the end, and no finding by itself. */
export async function thoseWithin<Kept extends Checkpoint>(database: Database, kept: readonly Kept[]): Promise<Kept[]> {
  const seal = await transact(database, lastSeal)
  const end = { log: seal?.log ?? firstLog, size: seal?.endLeaf ?? 0 }
  return kept.filter((checkpoint) => !isLater(checkpoint, end))
}
