import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import type { ArchivedRecord } from './archived-payment.ts'
import type { LogVerifiers } from './checkpoint.ts'
import { saltBytes, saltContexts, saltsFrom } from './leaf.ts'
import { logBegun } from './log-beginning.ts'
import type { PaymentProof, ProvenLeaf } from './proof.ts'
import { lastCheckpoint } from './prove-consistency.ts'
import { type Audience, CannotProve, proveLeaf, provingUnder, RecordsArchived, type SealOfRow } from './prove-leaf.ts'
import { leavesToProve, type WrittenLeaf } from './read-leaves.ts'
import { hashesOfSeals, sealBefore } from './stored-tree.ts'

export type ProofOrder = {
  readonly paymentId: string
  readonly audience: Audience
  /** Where they are known, what is not signed by one of these is not given away. Whoever is given it checks that anyway. */
  readonly verifiers?: LogVerifiers
  /** Records of it that are no longer in the database. */
  readonly archived?: readonly ArchivedRecord[]
}

/**
 * All that was recorded of a payment and its consent, its entry with all postings, and the paths from these to the last
 * checkpoint: whoever has the public key needs nothing else. Any role that is granted the functions `*_to_prove` can.
 *
 * @throws {CannotProve} where a row is not what was sealed; {NotSignedYet} where it is too early; {RecordsArchived} where it is too late.
 */
export async function provePayment(tx: Transaction, { paymentId, audience, verifiers, archived = [] }: ProofOrder): Promise<PaymentProof> {
  // First of all: what it holds was written by then, and so is seen by each of the next queries.
  const checkpoint = await lastCheckpoint(tx, verifiers)
  const rows = [...(await leavesToProve(tx, paymentId)), ...archived.map(recordOf)]
  const isBeginning = ({ row, table }: WrittenLeaf) => table === 'audit.record' && row['action'] === logBegun
  if (rows.every(isBeginning)) throw new CannotProve(`there is no payment ${paymentId}`)
  await refuseIncomplete(tx, paymentId, rows)
  const seals = new Map([...(await sealsToProve(tx, paymentId, rows)), ...(await sealsOfArchived(tx, archived, checkpoint.log))])
  const proving = provingUnder(tx, checkpoint, audience)
  const leaves: ProvenLeaf[] = []
  let begins: ProvenLeaf | undefined
  for (const row of rows) {
    const leaf = await proveLeaf(row, seals.get(row.key), proving)
    if (isBeginning(row)) begins = leaf
    else leaves.push(leaf)
  }
  return {
    format: 'bankside-payment-proof/1',
    payment_id: paymentId,
    checkpoint: checkpoint.note,
    ...(begins && { begins }),
    leaves: leaves.toSorted((one, other) => one.leaf - other.leaf),
  } as PaymentProof
}

/** What a proof cannot do without. That there is nothing else missing says whoever checks it. */
async function refuseIncomplete(tx: Transaction, paymentId: string, rows: readonly WrittenLeaf[]): Promise<void> {
  const has = (action: string) => rows.some(({ row }) => row['action'] === action)
  if (has('consent.lodged') && has('payment.submitted')) return
  if (await tx.oneFirst(sql.type(archivedRow)`select audit.is_archived(${paymentId}) as archived`))
    throw new RecordsArchived(`what was recorded of ${paymentId}, or of its consent, is archived: --archive names the folder of its file`)
  if (!has('payment.submitted')) throw new CannotProve(`what was recorded of ${paymentId} is gone: npm run audit:verify says more`)
}

const archivedRow = z.object({ archived: z.boolean() })

const sealRow = z.object({
  row_key: z.string(),
  log: z.number(),
  first_leaf: z.bigint(),
  /** One after another: a driver reads one `bytea`, not an array of them. */
  salts: z.custom<Buffer>(Buffer.isBuffer),
  goes_on: z.boolean(),
})

/** By the key of a row. */
async function sealsToProve(tx: Transaction, paymentId: string, rows: readonly WrittenLeaf[]): Promise<Map<string, SealOfRow>> {
  const found = await tx.any(sql.type(sealRow)`select row_key, log, first_leaf, salts, goes_on from audit.seals_to_prove(${paymentId})`)
  const byKey = new Map(found.map((seal) => [seal.row_key, seal]))
  const firstLeaves = [...new Set(found.map(({ first_leaf }) => Number(first_leaf)))]
  const hashes = found[0] === undefined ? new Map<number, Buffer>() : await hashesOfSeals(tx, found[0].log, firstLeaves)
  return new Map(
    rows.flatMap((row): [string, SealOfRow][] => {
      const seal = byKey.get(row.key)
      const leafHashes = seal && hashes.get(Number(seal.first_leaf))
      if (seal === undefined || leafHashes === undefined) return []
      const salts = new Map(saltContexts(row).map((context, index) => [context, partOf(seal.salts, index)]))
      const saltOf = (context: string) => salts.get(context) as Buffer
      return [[row.key, { firstLeaf: Number(seal.first_leaf), leafHashes, saltOf, goesOn: seal.goes_on }]]
    }),
  )
}

const recordOf = ({ key, row, writtenIn }: ArchivedRecord): WrittenLeaf => ({
  table: 'audit.record',
  key,
  row,
  writtenIn: BigInt(writtenIn),
})

/** By the key of a row. Where its leaf is stands in the file. */
async function sealsOfArchived(tx: Transaction, archived: readonly ArchivedRecord[], log: number): Promise<Map<string, SealOfRow>> {
  const seals = new Map<string, SealOfRow>()
  for (const { key, leaf, log: sealedIn } of archived) {
    if (sealedIn !== log)
      throw new CannotProve(`${key} was archived from log ${sealedIn}, and is not in log ${log}: proofs that were given before hold it`)
    const seal = await sealBefore(tx, log, leaf + 1)
    if (seal === undefined) continue
    const { firstLeaf, leafHashes, salt } = seal
    seals.set(key, { firstLeaf, leafHashes: Buffer.concat(leafHashes), saltOf: saltsFrom(salt), goesOn: false })
  }
  return seals
}

const partOf = (salts: Buffer, index: number): Buffer => salts.subarray(saltBytes * index, saltBytes * (index + 1))
