import { type Transaction, z } from '@bankside/service-kit/postgres'
import { BadCheckpoint, type Checkpoint, type LogVerifiers, openCheckpoint, originOf } from './checkpoint.ts'
import { hashOfLeaf, leafOf, saltsFrom } from './leaf.ts'
import { leavesOf } from './read-leaves.ts'
import { readRowIndex } from './row-index.ts'
import { sealsFrom } from './stored-tree.ts'

/**
 * What the first leaf of a log says that follows another. It is a record of the audit log whose details everybody is shown
 * (leaf.ts): nobody who is given a proof of the later log need be told that there was an earlier one, or what became of it.
 */
export const logBegun = 'audit.log_begun'

const hash = z.string().regex(/^[A-Za-z0-9+/]{43}=$/)
const count = z.int().min(0)
const beginningDetails = z.object({
  begunBecause: z.string(),
  /** The last note that was signed of any log before, as it is. */
  endedCheckpoint: z.string(),
  /** The last one to which what the database had still led; null where there was none. */
  metCheckpoint: z.string().nullable(),
  /** What the database had: of which log, how many leaves, and what they came to. Those beyond the checkpoint above nobody had signed. */
  treeLog: count,
  treeRoot: hash,
  treeSize: count,
  /** Rows that were there then, all of which are leaves of the later log. */
  entryCount: count,
  recordCount: count,
  /** What did not agree with the earlier log, and was told to whoever began this one. */
  findingCount: count,
})
export type BeginningDetails = z.infer<typeof beginningDetails>

export type Beginning = {
  /** That begins with it. */
  readonly log: number
  readonly ended: Checkpoint
  readonly met: Checkpoint | undefined
  readonly tree: { readonly log: number; readonly size: number; readonly root: Buffer }
  readonly findings: number
  readonly because: string
  readonly at: string
}

/** @throws {BadCheckpoint} saying what is wrong with it. */
export function parseBeginning(given: Shown, verifiers: LogVerifiers): Beginning {
  const { action, subject, details, at } = given
  const parsed = beginningDetails.safeParse(details)
  if (action !== logBegun || !parsed.success) throw new BadCheckpoint('it does not say which log it follows')
  const { endedCheckpoint, metCheckpoint, treeLog, treeSize, treeRoot, findingCount, begunBecause } = parsed.data
  const ended = openCheckpoint(endedCheckpoint, verifiers)
  const met = metCheckpoint === null ? undefined : openCheckpoint(metCheckpoint, verifiers)
  if (subject !== originOf(verifiers.origin, ended.log + 1))
    throw new BadCheckpoint(`it is of ${subject}, which does not follow ${ended.origin}`)
  if (met !== undefined && (met.log !== treeLog || met.size > treeSize || isLater(met, ended)))
    throw new BadCheckpoint('it names a checkpoint that is not of what was there')
  const tree = { log: treeLog, size: treeSize, root: Buffer.from(treeRoot, 'base64') }
  return { log: ended.log + 1, ended, met, tree, findings: findingCount, because: begunBecause, at }
}

type Shown = {
  readonly action: string | null | undefined
  readonly subject: string | null | undefined
  readonly details: unknown
  readonly at: string
}

type Place = { readonly log: number; readonly size: number }
export const isLater = (one: Place, other: Place): boolean => one.log > other.log || (one.log === other.log && one.size > other.size)

/**
 * Reads the first leaf of a log from the database.
 *
 * @throws {BadCheckpoint} where it is not there, not what was sealed, or no such leaf.
 */
export async function readBeginning(tx: Transaction, log: number, verifiers: LogVerifiers): Promise<Beginning> {
  const beginning = await findBeginning(tx, log, verifiers)
  if (beginning === undefined) throw new BadCheckpoint('it does not begin as a log that follows another')
  return beginning
}

/** The same; undefined for a log that the database never had, because it was restored from before: the one after it says so. */
export async function findBeginning(tx: Transaction, log: number, verifiers: LogVerifiers): Promise<Beginning | undefined> {
  const [seal] = await sealsFrom(tx, log, 0, 1)
  if (seal === undefined) return undefined
  const [indexed, ...others] = readRowIndex(seal.rowIndex) ?? []
  if (seal.firstLeaf !== 0 || indexed?.table !== 'audit.record' || others.length > 0 || seal.fromXact !== BigInt(-log))
    throw new BadCheckpoint('it does not begin as a log that follows another')
  const [leaf] = await leavesOf(tx, 'audit.record', [indexed.key])
  if (leaf === undefined || !hashOfLeaf(leafOf(leaf, saltsFrom(seal.salt))).equals(seal.leafHashes[0] as Buffer))
    throw new BadCheckpoint('its first record is not what was sealed')
  const { action, subject, details, occurred_at } = leaf.row
  const beginning = parseBeginning({ action, subject, details: JSON.parse(details ?? '{}'), at: occurred_at ?? '' }, verifiers)
  if (beginning.log !== log) throw new BadCheckpoint(`its first record begins log ${beginning.log}`)
  return beginning
}
