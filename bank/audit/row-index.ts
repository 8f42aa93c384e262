import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { type Columns, columnChecks, type LeafRows, type LeafTable } from './leaf.ts'

/** Which rows a leaf was made of: what is left to name a row by when it is gone or was changed. */
export type IndexedLeaf = {
  readonly table: LeafTable
  readonly key: string
  readonly checks: string
  readonly postings: readonly IndexedPosting[]
}
type IndexedPosting = { readonly key: string; readonly checks: string }

export const postingKey = ({ account_id, posting_number }: Columns): string => `${account_id}/${posting_number}`

const indexAtMostBytes = 64 * 1024 * 1024

export function writeRowIndex(leaves: readonly LeafRows[]): Buffer {
  const lines = leaves.map((leaf) => {
    const line: [number, ...string[]] = [leaf.table === 'ledger.entry' ? 0 : 1, leaf.key, columnChecks(leaf.row)]
    if (leaf.table === 'ledger.entry') for (const posting of leaf.postings) line.push(postingKey(posting), columnChecks(posting))
    return line
  })
  return deflateRawSync(JSON.stringify(lines), { level: 1 })
}

/** Undefined for what is no such index: somebody has changed it. */
export function readRowIndex(bytes: Uint8Array): IndexedLeaf[] | undefined {
  try {
    const lines = JSON.parse(inflateRawSync(bytes, { maxOutputLength: indexAtMostBytes }).toString()) as [number, ...string[]][]
    return lines.map(([table, key = '', checks = '', ...postings]) => ({
      table: table === 0 ? 'ledger.entry' : 'audit.record',
      key,
      checks,
      postings: Array.from({ length: postings.length / 2 }, (_, index) => {
        return { key: postings[2 * index] ?? '', checks: postings[2 * index + 1] ?? '' }
      }),
    }))
  } catch {
    return undefined
  }
}
