import type { Transaction } from '@bankside/service-kit/postgres'
import type { Checkpoint } from './checkpoint.ts'
import { hashOfLeaf, leafOf } from './leaf.ts'
import { inclusionPath, type NodeSource } from './merkle-tree.ts'
import type { ProvenLeaf } from './proof.ts'
import { isInOrder, type LeafPlace, leavesOf, type WrittenLeaf } from './read-leaves.ts'
import { readRowIndex } from './row-index.ts'
import { nodesOf, type Seal, sealAt, sealsFrom, sealsOfTransaction } from './stored-tree.ts'

/** Why there is no proof, for a person. */
export class CannotProve extends Error {
  override name = 'CannotProve'
}

/** What was booked or recorded, and no checkpoint holds yet: in some seconds one will. */
export class NotSignedYet extends CannotProve {
  override name = 'NotSignedYet'
}

/** For whom: a third party sees what was paid to whom, a customer their own side of it too, an auditor all there is. */
export const audiences = ['third-party', 'customer', 'auditor'] as const
export type Audience = (typeof audiences)[number]

export type Proving = { readonly checkpoint: Checkpoint; readonly nodes: NodeSource; readonly audience: Audience }

export const provingUnder = (tx: Transaction, checkpoint: Checkpoint, audience: Audience): Proving => {
  return { checkpoint, nodes: nodesOf(tx, checkpoint.log), audience }
}

/** @throws {CannotProve} where the row is not signed yet, or is not what was sealed. */
export async function proveLeaf(tx: Transaction, row: WrittenLeaf, proving: Proving): Promise<ProvenLeaf> {
  const { checkpoint } = proving
  const seal = await sealOf(tx, row, checkpoint.log)
  const offset = seal === undefined ? -1 : (readRowIndex(seal.rowIndex)?.findIndex((place) => isSame(place, row)) ?? -1)
  if (seal === undefined || offset < 0 || seal.firstLeaf + offset >= checkpoint.size)
    throw new NotSignedYet(`${row.table} ${row.key} is not signed yet: in some seconds it will be`)
  return proveLeafAt(row, { seal, offset }, proving)
}

/** Of a log that follows another: what it says of that. */
export async function proveBeginning(tx: Transaction, proving: Proving): Promise<ProvenLeaf> {
  const [seal] = await sealsFrom(tx, proving.checkpoint.log, 0, 1)
  const [first] = (seal && readRowIndex(seal.rowIndex)) ?? []
  const [row] = first === undefined ? [] : await leavesOf(tx, first.table, [first.key])
  if (seal === undefined || row === undefined)
    throw new CannotProve(`log ${proving.checkpoint.log} does not begin as it was sealed: npm run audit:verify says more`)
  return proveLeafAt(row, { seal, offset: 0 }, proving)
}

type At = { readonly seal: Seal; readonly offset: number }

async function proveLeafAt(row: WrittenLeaf, { seal, offset }: At, { checkpoint, nodes, audience }: Proving): Promise<ProvenLeaf> {
  const made = leafOf(row, seal.salt)
  if (!hashOfLeaf(made).equals(seal.leafHashes[offset] as Buffer))
    throw new CannotProve(`${row.table} ${row.key} is not what was sealed: npm run audit:verify says more`)
  const leaf = seal.firstLeaf + offset
  const path = await inclusionPath(leaf, checkpoint.size, nodes)
  const opened = made.closed.filter((_, index) => mayOpen(row, index, audience))
  return { leaf, content: made.content, path: path.map((hash) => hash.toString('base64')), opened }
}

/** In a round of many seals rows stand in order, so the one that may hold a row is looked for as a word in a dictionary. */
async function sealOf(tx: Transaction, row: WrittenLeaf, log: number): Promise<Seal | undefined> {
  const firstLeaves = await sealsOfTransaction(tx, log, row.writtenIn)
  let [low, high] = [0, firstLeaves.length - 1]
  while (low <= high) {
    const middle = (low + high) >> 1
    const seal = await sealAt(tx, log, firstLeaves[middle] as number)
    const places = seal && readRowIndex(seal.rowIndex)
    const [first, last] = [places?.[0], places?.at(-1)]
    if (first === undefined || last === undefined) return undefined
    if (isInOrder(row, first) && !isSame(first, row)) high = middle - 1
    else if (isInOrder(last, row) && !isSame(last, row)) low = middle + 1
    else return seal
  }
  return undefined
}

const isSame = (one: LeafPlace, other: LeafPlace): boolean => one.table === other.table && one.key === other.key

/** A customer sees the side of the one who pays, and what they themselves decided; never what the bank thinks of a payment. */
function mayOpen(row: WrittenLeaf, index: number, audience: Audience): boolean {
  if (audience !== 'customer') return audience === 'auditor'
  return row.table === 'ledger.entry'
    ? row.postings[index]?.['amount_minor']?.startsWith('-') === true
    : row.row['action'] === 'consent.authorised'
}
