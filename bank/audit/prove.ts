import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { type Checkpoint, type LogVerifiers, openCheckpoint } from './checkpoint.ts'
import { hashOfLeaf, leafOf } from './leaf.ts'
import { consistencyPath, inclusionPath, type NodeSource } from './merkle-tree.ts'
import type { ConsistencyProof, PaymentProof, ProvenLeaf } from './proof.ts'
import { leavesOf, type WrittenLeaf } from './read-leaves.ts'
import { readRowIndex } from './row-index.ts'
import { nodesOf, type Seal, sealsOfTransaction } from './stored-tree.ts'

/** Why there is no proof, for a person. */
export class CannotProve extends Error {
  override name = 'CannotProve'
}

/** For whom: a third party sees what was paid to whom, a customer their own side of it too, an auditor all there is. */
export const audiences = ['third-party', 'customer', 'auditor'] as const
export type Audience = (typeof audiences)[number]

export type ProofOrder = { readonly paymentId: string; readonly audience: Audience; readonly verifiers: LogVerifiers }

const paymentRow = z.object({ consent_id: z.string(), entry_id: z.string().nullable() })

/**
 * All that was recorded of a payment and its consent, its entry with all postings, and the paths from these to the last
 * checkpoint: whoever has the public key needs nothing else.
 *
 * @throws {CannotProve} where a row is not signed yet, or is not what was sealed.
 */
export async function provePayment(tx: Transaction, { paymentId, audience, verifiers }: ProofOrder): Promise<PaymentProof> {
  const payment = await tx.maybeOne(sql.type(paymentRow)`select consent_id, entry_id from payments.payment where payment_id = ${paymentId}`)
  if (payment === null) throw new CannotProve(`there is no payment ${paymentId}`)
  const checkpoint = await lastCheckpoint(tx, verifiers)
  const recordIds = (await tx.anyFirst(sql.unsafe`
    select record_id from audit.record where subject in (${payment.consent_id}, ${paymentId})`)) as string[]
  const rows = [
    ...(await leavesOf(tx, 'audit.record', recordIds)),
    ...(payment.entry_id === null ? [] : await leavesOf(tx, 'ledger.entry', [payment.entry_id])),
  ]
  const nodes = nodesOf(tx)
  const leaves: ProvenLeaf[] = []
  for (const row of rows) leaves.push(await proveLeaf(tx, row, { checkpoint, nodes, audience }))
  return {
    format: 'bankside-payment-proof/1',
    payment_id: paymentId,
    checkpoint: checkpoint.note,
    leaves: leaves.toSorted((one, other) => one.leaf - other.leaf),
  } as PaymentProof
}

/**
 * The path from a checkpoint that somebody kept to the last one: it shows that nothing of what was signed then was changed since.
 *
 * @throws {CannotProve} where no checkpoint of this size was signed.
 */
export async function proveConsistency(tx: Transaction, size: number, verifiers: LogVerifiers): Promise<ConsistencyProof> {
  const from = await tx.maybeOne(sql.type(noteRow)`select note from audit.checkpoint where tree_size = ${size}`)
  if (from === null) throw new CannotProve(`there is no checkpoint of ${size} leaves`)
  const to = await lastCheckpoint(tx, verifiers)
  const path = await consistencyPath(size, to.size, nodesOf(tx))
  return { format: 'bankside-consistency-proof/1', from: from.note, to: to.note, path: path.map((hash) => hash.toString('base64')) }
}

const noteRow = z.object({ note: z.string() })

async function lastCheckpoint(tx: Transaction, verifiers: LogVerifiers): Promise<Checkpoint> {
  const row = await tx.maybeOne(sql.type(noteRow)`select note from audit.checkpoint where tree_size > ${0} order by tree_size desc limit 1`)
  if (row === null) throw new CannotProve('nothing was signed yet')
  return openCheckpoint(row.note, verifiers)
}

type Proving = { readonly checkpoint: Checkpoint; readonly nodes: NodeSource; readonly audience: Audience }

async function proveLeaf(tx: Transaction, row: WrittenLeaf, { checkpoint, nodes, audience }: Proving): Promise<ProvenLeaf> {
  const place = await placeOf(tx, row)
  if (place === undefined || place.leaf >= checkpoint.size)
    throw new CannotProve(`${row.table} ${row.key} is not signed yet: in some seconds it will be`)
  const made = leafOf(row, place.seal.salt)
  if (!hashOfLeaf(made).equals(place.hash))
    throw new CannotProve(`${row.table} ${row.key} is not what was sealed: npm run audit:verify says more`)
  const path = await inclusionPath(place.leaf, checkpoint.size, nodes)
  const opened = made.closed.filter((_, index) => mayOpen(row, index, audience))
  return { leaf: place.leaf, content: made.content, path: path.map((hash) => hash.toString('base64')), opened }
}

async function placeOf(tx: Transaction, row: WrittenLeaf): Promise<{ seal: Seal; leaf: number; hash: Buffer } | undefined> {
  for (const seal of await sealsOfTransaction(tx, row.writtenIn)) {
    const offset = readRowIndex(seal.rowIndex)?.findIndex(({ table, key }) => table === row.table && key === row.key) ?? -1
    if (offset >= 0) return { seal, leaf: seal.firstLeaf + offset, hash: seal.leafHashes[offset] as Buffer }
  }
  return undefined
}

/** A customer sees the side of the one who pays, and what they themselves decided; never what the bank thinks of a payment. */
function mayOpen(row: WrittenLeaf, index: number, audience: Audience): boolean {
  if (audience !== 'customer') return audience === 'auditor'
  return row.table === 'ledger.entry'
    ? row.postings[index]?.['amount_minor']?.startsWith('-') === true
    : row.row['action'] === 'consent.authorised'
}
