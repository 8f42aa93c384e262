import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { GrowingTree, hashBytes, type NodeSource, type Place, subtreesOf, type TreeNode } from './merkle-tree.ts'
import type { LeafPlace } from './read-leaves.ts'

/** From this level on the roots of subtrees are kept; those below are reckoned from the leaves. */
export const lowestKeptLevel = 8
const block = 2 ** lowestKeptLevel

const bytes = z.custom<Buffer>(Buffer.isBuffer)
const sealRow = z.object({
  log: z.number(),
  first_leaf: z.bigint(),
  leaf_count: z.number(),
  from_xact: z.bigint(),
  before_xact: z.bigint(),
  ends_round: z.boolean(),
  sealed_at: z.date(),
  salt: bytes,
  leaf_hashes: bytes,
  row_index: bytes,
  first_table: z.number().nullable(),
  first_key: z.string().nullable(),
})
const sealColumns = sql.fragment`log, first_leaf, leaf_count, from_xact, before_xact, ends_round, sealed_at, salt, leaf_hashes, row_index, first_table,
  first_key`

export type Seal = {
  readonly log: number
  readonly firstLeaf: number
  readonly endLeaf: number
  readonly fromXact: bigint
  readonly beforeXact: bigint
  readonly endsRound: boolean
  readonly sealedAt: Date
  readonly salt: Buffer
  readonly leafHashes: readonly Buffer[]
  readonly rowIndex: Buffer
  /** What its first leaf is of; not of seals from before that was kept. */
  readonly firstPlace: LeafPlace | undefined
}

const hashesIn = (hashes: Buffer, count: number): Buffer[] =>
  Array.from({ length: count }, (_, index) => hashes.subarray(hashBytes * index, hashBytes * (index + 1)))

type SealRow = z.infer<typeof sealRow>

function placeOf(row: Omit<SealRow, 'salt' | 'leaf_hashes' | 'row_index' | 'first_table' | 'first_key'>) {
  const firstLeaf = Number(row.first_leaf)
  const endLeaf = firstLeaf + row.leaf_count
  const { log, from_xact: fromXact, before_xact: beforeXact, ends_round: endsRound, sealed_at: sealedAt } = row
  return { log, firstLeaf, endLeaf, fromXact, beforeXact, endsRound, sealedAt }
}

function toSeal(row: SealRow): Seal {
  return {
    ...placeOf(row),
    salt: row.salt,
    leafHashes: hashesIn(row.leaf_hashes, row.leaf_count),
    firstPlace: row.first_key === null ? undefined : { table: row.first_table === 0 ? 'ledger.entry' : 'audit.record', key: row.first_key },
    rowIndex: row.row_index,
  }
}

const endRow = sealRow
  .omit({ salt: true, leaf_hashes: true, row_index: true, first_table: true, first_key: true })
  .extend({ row_index: bytes.nullable() })
/** Where a log ends: of what its last seal holds only what the next one goes on from. */
export type LogEnd = Omit<Seal, 'salt' | 'leafHashes' | 'rowIndex' | 'firstPlace'> & {
  /** Of a seal that does not end its round. */
  readonly rowIndex: Buffer | undefined
}

/** Of the log that goes on now. */
export async function lastSeal(tx: Transaction): Promise<LogEnd | undefined> {
  const row = await tx.maybeOne(sql.type(endRow)`
    select log, first_leaf, leaf_count, from_xact, before_xact, ends_round, sealed_at, case when not ends_round then row_index end as row_index
    from audit.seal where log > ${0} order by log desc, first_leaf desc limit 1`)
  return row === null ? undefined : { ...placeOf(row), rowIndex: row.row_index ?? undefined }
}

/** The one whose leaves come before this one. */
export async function sealBefore(tx: Transaction, log: number, leaf: number): Promise<Seal | undefined> {
  const row = await tx.maybeOne(
    sql.type(sealRow)`select ${sealColumns} from audit.seal where log = ${log} and first_leaf < ${leaf} order by first_leaf desc limit 1`,
  )
  return row === null ? undefined : toSeal(row)
}

/** In their order, from the one that begins at a leaf or after it. */
export async function sealsFrom(tx: Transaction, log: number, leaf: number, limit: number): Promise<Seal[]> {
  const rows = await tx.any(
    sql.type(
      sealRow,
    )`select ${sealColumns} from audit.seal where log = ${log} and first_leaf >= ${leaf} order by first_leaf limit ${limit}`,
  )
  return rows.map(toSeal)
}

/** Says that the tree itself is not what it was: not an error of whoever asks. */
export class BrokenTree extends Error {
  override name = 'BrokenTree'
}

const hashesRow = z.object({ first_leaf: z.bigint(), hashes: bytes })
/** Of one seal (seal_has_leaves), and of one transaction that seals. */
export const leavesPerSeal = 4_096

/**
 * Leaf hashes from one number up to another, wherever seals begin and end. Of each seal no more is read than these: a role that proves to others
 * may read no more, and what is not needed is not fetched.
 */
export async function leafHashes(tx: Transaction, log: number, begin: number, end: number): Promise<Buffer[]> {
  if (begin >= end) return []
  const rows = await tx.any(sql.type(hashesRow)`
    select first_leaf, substr(leaf_hashes, (${hashBytes} * (greatest(first_leaf, ${begin}) - first_leaf))::integer + 1,
      (${hashBytes} * (least(first_leaf + leaf_count, ${end}) - greatest(first_leaf, ${begin})))::integer) as hashes
    from audit.seal
    where log = ${log} and first_leaf > ${begin - leavesPerSeal} and first_leaf < ${end} and first_leaf + leaf_count > ${begin} order by first_leaf`)
  const hashes: Buffer[] = []
  for (const { first_leaf, hashes: found } of rows) {
    if (Math.max(Number(first_leaf), begin) !== begin + hashes.length) break
    hashes.push(...hashesIn(found, found.length / hashBytes))
  }
  if (begin + hashes.length < end) throw new BrokenTree(`no seal holds leaf ${begin + hashes.length}`)
  return hashes
}

/** Of the seals that begin with these leaves, all in one. */
export async function hashesOfSeals(tx: Transaction, log: number, firstLeaves: readonly number[]): Promise<ReadonlyMap<number, Buffer>> {
  const rows = await tx.any(sql.type(hashesRow)`
    select first_leaf, leaf_hashes as hashes from audit.seal where log = ${log} and first_leaf = any (${sql.array([...firstLeaves], 'int8')})`)
  return new Map(rows.map(({ first_leaf, hashes }) => [Number(first_leaf), hashes]))
}

const nodeRow = z.object({ level: z.number(), position: z.bigint(), hash: bytes })

export async function storedNodes(tx: Transaction, log: number, places: readonly Place[]): Promise<TreeNode[]> {
  const rows = await tx.any(sql.type(nodeRow)`
    select n.level, n.position, n.hash
    from unnest(${sql.array(
      places.map(({ level }) => level),
      'int4',
    )}, ${sql.array(
      places.map(({ position }) => position),
      'int8',
    )}) asked (level, position)
      join audit.tree_node n using (level, position) where n.log = ${log}`)
  return rows.map(({ level, position, hash }) => ({ level, position: Number(position), hash }))
}

/** The tree as it was when it had so many leaves. */
export async function treeOfSize(tx: Transaction, log: number, size: number): Promise<GrowingTree> {
  const places = subtreesOf(size).filter(({ level }) => level >= lowestKeptLevel)
  const found = await storedNodes(tx, log, places)
  const nodes = places.map(({ level, position }) => {
    const node = found.find((candidate) => candidate.level === level && candidate.position === position)
    if (node === undefined) throw new BrokenTree(`node ${position} of level ${level} is missing`)
    return node
  })
  const tree = new GrowingTree(nodes)
  for (const hash of await leafHashes(tx, log, tree.size, size)) tree.append(hash)
  return tree
}

export async function insertNodes(tx: Transaction, log: number, nodes: readonly TreeNode[]): Promise<void> {
  if (nodes.length === 0) return
  await tx.query(sql.unsafe`
    insert into audit.tree_node (log, level, position, hash)
    select ${log}::integer, level, position, decode(hash, 'hex') from unnest(
      ${sql.array(
        nodes.map(({ level }) => level),
        'int4',
      )}, ${sql.array(
        nodes.map(({ position }) => position),
        'int8',
      )},
      ${sql.array(
        nodes.map(({ hash }) => hash.toString('hex')),
        'text',
      )}) made (level, position, hash)`)
}

/** For proofs: few nodes of many, each block of leaves read once. */
export function nodesOf(tx: Transaction, log: number): NodeSource {
  const blocks = new Map<number, Promise<Buffer[]>>()
  const kept = new Map<string, Promise<TreeNode[]>>()
  return async ({ level, position }) => {
    if (level >= lowestKeptLevel) {
      const name = `${level}/${position}`
      const found = kept.get(name) ?? storedNodes(tx, log, [{ level, position }])
      kept.set(name, found)
      const [node] = await found
      if (node === undefined) throw new BrokenTree(`node ${position} of level ${level} is missing`)
      return node.hash
    }
    const first = position * 2 ** level
    const begin = first - (first % block)
    const end = first + 2 ** level
    const known = blocks.get(begin)
    const leaves = known === undefined || (await known).length < end - begin ? leafHashes(tx, log, begin, end) : known
    blocks.set(begin, leaves)
    const tree = new GrowingTree()
    for (const hash of (await leaves).slice(first - begin, end - begin)) tree.append(hash)
    return tree.root
  }
}
