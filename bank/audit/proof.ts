import { z } from '@bankside/service-kit/postgres'
import type { LeafContent } from './leaf.ts'

/** What a proof holds, as it is given away. Whatever else stands in it is refused: all that is there is checked. */
const columns = z.record(z.string(), z.string().nullable())
/** In the one way there is to write 32 bytes: no bits left over. */
const hash = z.string().regex(/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/, 'is not a hash')
const openPart = { closed: z.string(), shown: columns }
const version = z.literal('bankside/1')

const entryContent = z.strictObject({
  closed: z.string().optional(),
  postings: z.array(z.strictObject(openPart)).max(1_000),
  row: columns,
  table: z.literal('ledger.entry'),
  version,
})
const recordContent = z.strictObject({
  ...openPart,
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  table: z.literal('audit.record'),
  version,
})

const provenLeaf = z.strictObject({
  leaf: z.int().min(0),
  content: z.discriminatedUnion('table', [entryContent, recordContent]),
  /** From the leaf up to the root of the checkpoint. */
  path: z.array(hash).max(64),
  /** What opens a closed part of the content, for those who may see it. */
  opened: z.array(z.strictObject({ salt: z.string(), columns })).max(1_000),
})

const note = z.string().max(4_096)
const logsAtMost = 1_000

export const paymentProof = z.strictObject({
  format: z.literal('bankside-payment-proof/1'),
  payment_id: z.string(),
  checkpoint: note,
  /** The first leaf of a log that follows another. */
  begins: provenLeaf.optional(),
  leaves: z.array(provenLeaf).min(1).max(200),
})

/** Up to the last checkpoint, or up to the one after which another log begins; then log by log, each by its first leaf. */
export const consistencyProof = z.strictObject({
  format: z.literal('bankside-consistency-proof/1'),
  from: note,
  to: note,
  path: z.array(hash).max(128),
  later: z
    .array(z.strictObject({ checkpoint: note, begins: provenLeaf }))
    .max(logsAtMost)
    .optional(),
})

export type ProvenLeaf = Omit<z.infer<typeof provenLeaf>, 'content'> & { readonly content: LeafContent }
export type PaymentProof = z.infer<typeof paymentProof>
export type ConsistencyProof = z.infer<typeof consistencyProof>
