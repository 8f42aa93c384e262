import type { Transaction } from '@bankside/service-kit/postgres'
import type { Checkpoint } from './checkpoint.ts'
import { hashOfLeaf, leafOf, type SaltOf, saltsFrom } from './leaf.ts'
import { hashBytes, inclusionPath, type NodeSource } from './merkle-tree.ts'
import type { ProvenLeaf } from './proof.ts'
import { leavesOf, type WrittenLeaf } from './read-leaves.ts'
import { readRowIndex } from './row-index.ts'
import { nodesOf, sealsFrom } from './stored-tree.ts'

/** Why there is no proof, for a person. */
export class CannotProve extends Error {
  override name = 'CannotProve'
}

/** What was booked or recorded, and no checkpoint holds yet: in some seconds one will. */
export class NotSignedYet extends CannotProve {
  override name = 'NotSignedYet'
}

/** What was recorded is in a file, no longer in the database. */
export class RecordsArchived extends CannotProve {
  override name = 'RecordsArchived'
}

/** For whom: a third party sees what was paid to whom, a customer their own side of it too, an auditor all there is. */
export const audiences = ['third-party', 'customer', 'auditor'] as const
export type Audience = (typeof audiences)[number]

export type Proving = { readonly checkpoint: Checkpoint; readonly nodes: NodeSource; readonly audience: Audience }

export const provingUnder = (tx: Transaction, checkpoint: Checkpoint, audience: Audience): Proving => {
  return { checkpoint, nodes: nodesOf(tx, checkpoint.log), audience }
}

/** What of a seal it takes to prove one of its leaves. */
export type SealOfRow = {
  readonly firstLeaf: number
  readonly leafHashes: Buffer
  readonly saltOf: SaltOf
  /** Its round is not sealed to its end yet. */
  readonly goesOn: boolean
}

/** @throws {CannotProve} where the row is not signed yet, or is not what was sealed. */
export async function proveLeaf(row: WrittenLeaf, seal: SealOfRow | undefined, proving: Proving): Promise<ProvenLeaf> {
  const { checkpoint, nodes, audience } = proving
  if (seal === undefined || seal.firstLeaf >= checkpoint.size) throw notYet(row)
  const made = leafOf(row, seal.saltOf)
  const hash = hashOfLeaf(made)
  const offset = placeIn(seal.leafHashes, hash)
  if (offset < 0 && seal.goesOn) throw notYet(row)
  if (offset < 0) throw new CannotProve(`${row.table} ${row.key} is not what was sealed: npm run audit:verify says more`)
  const leaf = seal.firstLeaf + offset
  if (leaf >= checkpoint.size) throw notYet(row)
  const path = await inclusionPath(leaf, checkpoint.size, nodes)
  const opened = made.closed.filter((_, index) => mayOpen(row, index, audience))
  return { leaf, content: made.content, path: path.map((step) => step.toString('base64')), opened }
}

const notYet = ({ table, key }: WrittenLeaf) => new NotSignedYet(`${table} ${key} is not signed yet: in some seconds it will be`)

/** Among hashes that stand one after another; -1 where it is not. */
function placeIn(hashes: Buffer, hash: Buffer): number {
  for (let at = hashes.indexOf(hash); at >= 0; at = hashes.indexOf(hash, at + 1)) if (at % hashBytes === 0) return at / hashBytes
  return -1
}

/** Of a log that follows another: what it says of that. */
export async function proveBeginning(tx: Transaction, proving: Proving): Promise<ProvenLeaf> {
  const [seal] = await sealsFrom(tx, proving.checkpoint.log, 0, 1)
  const [first] = (seal && readRowIndex(seal.rowIndex)) ?? []
  const [row] = first === undefined ? [] : await leavesOf(tx, first.table, [first.key])
  if (seal === undefined || row === undefined)
    throw new CannotProve(`log ${proving.checkpoint.log} does not begin as it was sealed: npm run audit:verify says more`)
  return proveLeaf(
    row,
    { firstLeaf: seal.firstLeaf, leafHashes: Buffer.concat(seal.leafHashes), saltOf: saltsFrom(seal.salt), goesOn: false },
    proving,
  )
}

/** A customer sees the side of the one who pays, and what they themselves decided; never what the bank thinks of a payment. */
function mayOpen(row: WrittenLeaf, index: number, audience: Audience): boolean {
  if (audience !== 'customer') return audience === 'auditor'
  return row.table === 'ledger.entry'
    ? row.postings[index]?.['amount_minor']?.startsWith('-') === true
    : row.row['action'] === 'consent.authorised'
}
