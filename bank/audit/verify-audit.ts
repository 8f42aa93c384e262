import { type Database, sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type Archive, ArchivedLeaves, storedArchives } from './archive.ts'
import type { Checkpoint, LogVerifiers } from './checkpoint.ts'
import { compareEnded, compareRows, type Finding } from './compare-rows.ts'
import type { Beginning } from './log-beginning.ts'
import { GrowingTree, type TreeNode } from './merkle-tree.ts'
import { readingSnapshot as reading } from './reading-snapshot.ts'
import { firstLog } from './seal-rows.ts'
import { checkpointName, ofLog } from './stored-checkpoints.ts'
import { BrokenTree, lastSeal, lowestKeptLevel, type Seal, sealBefore, sealsFrom, storedNodes, treeOfSize } from './stored-tree.ts'
import { beyondTheirEnd, nameOfLeaf, nameOfLeaves, notAsItEnded, readBeginnings, wasLost, withoutALog } from './verify-beginnings.ts'

export type VerificationNeeds = {
  /** Who signs: a log that follows another names checkpoints of it. */
  readonly verifiers: LogVerifiers
  /** Signed checkpoints from wherever they were kept: the database, the file outside it, a witness. Their signatures are good. */
  readonly checkpoints: readonly KeptCheckpoint[]
  /** Rows that were sealed under this one are taken for verified: only what came after is read again. */
  readonly since?: Checkpoint | undefined
  readonly onProgress?: (leaves: number) => void
}
export type KeptCheckpoint = Checkpoint & { readonly from: string }

export type Verification = {
  readonly findings: readonly Finding[]
  /** The leaves of the whole tree, and how many of them were read again now. */
  readonly leaves: number
  readonly read: number
  /** Checkpoints that the tree led to. */
  readonly checkpoints: number
  /** Rows that no seal holds yet. */
  readonly unsealed: number
  /** Logs that had to begin anew, and what was lost with those before. */
  readonly beginnings: readonly Beginning[]
  /** Of these the rows are in files, and were not read. */
  readonly archives: readonly Archive[]
}

const sealsAtOnce = 256
/** Many small rounds are read with one query. */
const leavesAtOnce = 4_096

/**
 * Reads every sealed row again and compares it with the tree, and the tree with everything that was ever signed. Changes
 * nothing, takes no lock, and holds no snapshot for long: sealed rows never change, so it may run on a replica. A bank that had to
 * begin another log has several, each read and compared; where to begin from is of the last.
 */
export async function verifyAudit(database: Database, needs: VerificationNeeds): Promise<Verification> {
  const findings: Finding[] = []
  const current = await reading(database, async (tx) => (await lastSeal(tx))?.log ?? firstLog)
  const { beginnings, named } = await readBeginnings(database, current, needs.verifiers, findings)
  const stored = await reading(database, storedArchives)
  const { archives } = stored
  const archived = new ArchivedLeaves(archives)
  findings.push(...stored.findings)
  const checkpoints = [...needs.checkpoints, ...named]
  findings.push(...beyondTheirEnd(needs.checkpoints, beginnings), ...withoutALog(checkpoints, current, beginnings))
  const total = { leaves: 0, read: 0, checkpoints: 0 }
  let last: Seal | undefined
  for (let log = needs.since === undefined ? firstLog : current; log <= current; log++) {
    const walk = await walkLog(database, { log, ended: log < current, checkpoints, beginnings, archived, needs, findings })
    if (walk === undefined) return { findings, leaves: needs.since?.size ?? 0, read: 0, checkpoints: 0, unsealed: 0, beginnings, archives }
    total.leaves += walk.tree.size
    total.read += walk.tree.size - walk.from
    total.checkpoints += walk.met
    last = walk.previous
  }
  const { unsealed, orphans } = await reading(database, (tx) => whatIsOutside(tx, current, last, needs.since === undefined))
  findings.push(...orphans, ...archived.findingsStillThere(), ...(needs.since === undefined ? archived.findings() : []))
  return { findings: withMoves(onceEach(findings)), ...total, unsealed, beginnings, archives }
}

type LogWalk = {
  readonly log: number
  readonly ended: boolean
  readonly checkpoints: readonly KeptCheckpoint[]
  readonly beginnings: readonly Beginning[]
  readonly archived: ArchivedLeaves
  readonly needs: VerificationNeeds
  readonly findings: Finding[]
}

/** Undefined where the checkpoint to begin from does not hold. */
async function walkLog(
  database: Database,
  { log, ended, checkpoints, beginnings, archived, needs, findings }: LogWalk,
): Promise<Walk | undefined> {
  const signed = checkpointsBySize(
    checkpoints.filter((one) => one.log === log && !wasLost(one, beginnings)),
    findings,
  )
  const since = ended ? undefined : needs.since
  const from = since?.size ?? 0
  const tree = await startingTree(database, log, since, findings)
  if (tree === undefined) return undefined
  const previous = await reading(database, (tx) => sealBefore(tx, log, from))
  const walk: Walk = { log, ended, from, tree, findings, signed, archived, previous, met: 0 }
  for (;;) {
    const seals = await reading(database, (tx) => sealsFrom(tx, log, tree.size, sealsAtOnce))
    if (seals.length === 0) break
    for (const group of groupsOf(seals, walk.previous)) {
      await reading(database, (tx) => verifyGroup(tx, group, walk))
      needs.onProgress?.(tree.size - from)
    }
  }
  for (const [size, [checkpoint]] of signed)
    if (size > tree.size && checkpoint !== undefined)
      findings.push({
        table: 'audit.seal',
        id: nameOfLeaf(log, tree.size),
        what: 'missing',
        detail: `the tree ends with ${tree.size} leaves; ${checkpoint.from} has a checkpoint of ${size}, signed ${checkpoint.signedAt.toISOString()}`,
      })
  findings.push(...notAsItEnded(log, tree, beginnings))
  return walk
}

/** What is wrong with a row is found in each log that holds it, and told once. */
function onceEach(findings: readonly Finding[]): Finding[] {
  const name = ({ table, id, what, column }: Finding) => `${what} ${table} ${id} ${column}`
  return [...new Map(findings.toReversed().map((finding) => [name(finding), finding])).values()].toReversed()
}

/** A row that is gone from one place and there in another was moved between them. */
function withMoves(findings: readonly Finding[]): Finding[] {
  const name = ({ table, id }: Finding) => `${table} ${id}`
  const inserted = new Map(findings.filter(({ what }) => what === 'inserted').map((finding) => [name(finding), finding]))
  const moved = new Set(findings.filter((finding) => finding.what === 'missing' && inserted.has(name(finding))).map(name))
  return findings.flatMap((finding): Finding[] => {
    if (!moved.has(name(finding))) return [finding]
    return finding.what === 'missing' ? [{ ...finding, what: 'moved', column: 'written_in' }] : []
  })
}

type Walk = {
  readonly log: number
  readonly ended: boolean
  /** How many leaves were taken for verified. */
  readonly from: number
  readonly tree: GrowingTree
  readonly findings: Finding[]
  readonly signed: ReadonlyMap<number, readonly KeptCheckpoint[]>
  readonly archived: ArchivedLeaves
  previous: Seal | undefined
  met: number
}

/** Two that were signed for one size must agree, or one of them was signed for another history. */
function checkpointsBySize(checkpoints: readonly KeptCheckpoint[], findings: Finding[]): Map<number, readonly KeptCheckpoint[]> {
  const bySize = Map.groupBy(
    checkpoints.toSorted((one, other) => one.size - other.size),
    ({ size }) => size,
  )
  for (const [size, [first, ...others]] of bySize)
    for (const other of others)
      if (first !== undefined && !other.root.equals(first.root))
        findings.push({
          table: 'audit.checkpoint',
          id: checkpointName(first.log, size),
          what: 'changed',
          detail: `${first.from} and ${other.from} have different roots`,
        })
  return bySize
}

async function startingTree(
  database: Database,
  log: number,
  since: Checkpoint | undefined,
  findings: Finding[],
): Promise<GrowingTree | undefined> {
  if (since === undefined) return new GrowingTree()
  try {
    const tree = await reading(database, (tx) => treeOfSize(tx, log, since.size))
    if (tree.root.equals(since.root)) return tree
    findings.push({
      table: 'audit.seal',
      id: nameOfLeaves(log, 0, since.size - 1),
      what: 'changed',
      detail: 'they do not lead to the checkpoint to begin from',
    })
  } catch (error) {
    if (!(error instanceof BrokenTree)) throw error
    findings.push({ table: 'audit.seal', id: nameOfLeaves(log, 0, since.size - 1), what: 'missing', detail: error.message })
  }
  return undefined
}

/**
 * Whole rounds together while they are small; a round of several seals seal by seal, its last one too: what is behind the place where that
 * goes on is not all of the next round.
 */
function groupsOf(seals: readonly Seal[], before: Seal | undefined): Seal[][] {
  const groups: Seal[][] = []
  let leaves = 0
  let [previous, isWhole] = [before, false]
  for (const seal of seals) {
    const count = seal.endLeaf - seal.firstLeaf
    const wasWhole = isWhole
    isWhole = seal.endsRound && previous?.endsRound !== false
    const joins = wasWhole && isWhole && previous?.beforeXact === seal.fromXact && leaves + count <= leavesAtOnce
    if (joins) groups.at(-1)?.push(seal)
    else groups.push([seal])
    leaves = joins ? leaves + count : count
    previous = seal
  }
  return groups
}

async function verifyGroup(tx: Transaction, group: readonly Seal[], walk: Walk): Promise<void> {
  const { log, tree, findings, archived, previous: before } = walk
  const nodes: TreeNode[] = []
  for (const seal of group) {
    const { previous } = walk
    if (seal.firstLeaf !== tree.size) {
      findings.push({
        table: 'audit.seal',
        id: nameOfLeaf(log, tree.size),
        what: 'missing',
        detail: `the next seal begins at leaf ${seal.firstLeaf}`,
      })
    } else if (previous !== undefined && !follows(seal, previous)) {
      const detail = `it is of transactions ${seal.fromXact} to ${seal.beforeXact}, the one before of ${previous.fromXact} to ${previous.beforeXact}`
      findings.push({ table: 'audit.seal', id: nameOfLeaf(log, seal.firstLeaf), what: 'changed', detail })
    }
    for (const hash of seal.leafHashes) tree.append(hash, (node) => node.level >= lowestKeptLevel && nodes.push(node))
    walk.previous = seal
    for (const checkpoint of walk.signed.get(seal.endLeaf) ?? []) {
      if (tree.root.equals(checkpoint.root)) walk.met++
      else findings.push(rewritten(checkpoint, walk))
    }
  }
  findings.push(
    ...(await compareNodes(tx, log, nodes)),
    ...(await (walk.ended ? compareEnded(tx, group, archived) : compareRows(tx, group, { before, archived }))),
  )
}

const follows = (seal: Seal, before: Seal): boolean =>
  before.endsRound ? seal.fromXact === before.beforeXact : seal.fromXact === before.fromXact && seal.beforeXact === before.beforeXact

function rewritten({ size, from, signedAt }: KeptCheckpoint, { log, signed }: Walk): Finding {
  const sizeBefore = Math.max(0, ...[...signed.keys()].filter((earlier) => earlier < size))
  const detail = `they do not lead to the checkpoint of ${size} leaves that ${from} has, signed ${signedAt.toISOString()}`
  return { table: 'audit.seal', id: `${nameOfLeaves(log, sizeBefore, size - 1)}, or before`, what: 'changed', detail }
}

async function compareNodes(tx: Transaction, log: number, nodes: readonly TreeNode[]): Promise<Finding[]> {
  if (nodes.length === 0) return []
  const stored = new Map((await storedNodes(tx, log, nodes)).map(({ level, position, hash }) => [`${level}/${position}`, hash]))
  return nodes.flatMap(({ level, position, hash }): Finding[] => {
    const found = stored.get(`${level}/${position}`)
    if (found?.equals(hash)) return []
    const what = found === undefined ? 'missing' : 'changed'
    return [
      {
        table: 'audit.tree_node',
        id: `${level}/${position}${ofLog(log)}`,
        what,
        detail: 'it is not what its leaves come to',
      },
    ]
  })
}

const outsideRow = z.object({ unsealed: z.bigint() })
const orphanRow = z.object({ account_id: z.string(), posting_number: z.bigint(), entry_id: z.string() })
const earlyRow = z.object({ table: z.enum(['ledger.entry', 'audit.record']), id: z.string() })
const orphansAtMost = 100

/** Rows that came after the last seal, rows of before the first one, and postings that no entry leads to. */
async function whatIsOutside(tx: Transaction, log: number, last: Seal | undefined, whole: boolean) {
  const from = last?.beforeXact ?? 0n
  const { unsealed } = await tx.one(sql.type(outsideRow)`
    select (select count(*) from ledger.entry where written_in >= ${from}) + (select count(*) from audit.record where written_in >= ${from}) as unsealed`)
  if (!whole) return { unsealed: Number(unsealed), orphans: [] }
  const orphans = await tx.any(sql.type(orphanRow)`
    select account_id, posting_number, entry_id from ledger.posting p
    where not exists (select from ledger.entry e where e.entry_id = p.entry_id) limit ${orphansAtMost}`)
  const begin = log === firstLog ? 0 : -log
  const early = await tx.any(sql.type(earlyRow)`
    select 'ledger.entry' as table, entry_id as id from ledger.entry where written_in < ${begin}
    union all select 'audit.record', record_id from audit.record where written_in < ${begin} limit ${orphansAtMost}`)
  return {
    unsealed: Number(unsealed),
    orphans: [
      ...orphans.map(({ account_id, posting_number, entry_id }): Finding => {
        return { table: 'ledger.posting', id: `${account_id}/${posting_number}`, what: 'inserted', detail: `there is no entry ${entry_id}` }
      }),
      ...early.map(({ table, id }): Finding => ({ table, id, what: 'inserted', detail: 'it is of no transaction that ever was' })),
    ],
  }
}
