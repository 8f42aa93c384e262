import { BadCheckpoint, type Checkpoint, type LogVerifiers, openCheckpoint } from './checkpoint.ts'
import { hashOfClosed, hashOfGivenLeaf } from './leaf.ts'
import { type Beginning, isLater, parseBeginning } from './log-beginning.ts'
import { rootByInclusion } from './merkle-tree.ts'
import type { ProvenLeaf } from './proof.ts'

/** In plain words: what is proven, line by line, and what does not fit. Nothing is proven where something does not. */
export type CheckedProof = { readonly proven: readonly string[]; readonly problems: readonly string[] }

export function opened(note: string, name: string, verifiers: LogVerifiers, problems: string[]): Checkpoint | undefined {
  try {
    return openCheckpoint(note, verifiers)
  } catch (error) {
    if (!(error instanceof BadCheckpoint)) throw error
    problems.push(`${name}: ${error.message}`)
    return undefined
  }
}

const nameOf = ({ leaf, content }: ProvenLeaf): string =>
  content.table === 'ledger.entry'
    ? `leaf ${leaf} (entry ${content.row['entry_id']})`
    : `leaf ${leaf} (${content.shown['action']} of ${content.shown['subject']})`

export function checkLeaf(proven: ProvenLeaf, { size, root }: Checkpoint): string[] {
  const { leaf, content, path } = proven
  const reached = rootByInclusion(
    leaf,
    size,
    hashOfGivenLeaf(content),
    path.map((hash) => Buffer.from(hash, 'base64')),
  )
  if (reached?.equals(root) !== true)
    return [`${nameOf(proven)}: it does not lead to the checkpoint: its content, its number or its path was changed`]
  const closed =
    content.table === 'ledger.entry' ? [...content.postings.map((posting) => posting.closed), content.closed] : [content.closed]
  return proven.opened.flatMap((part, index) =>
    closed.includes(hashOfClosed(part))
      ? []
      : [`${nameOf(proven)}: opened part ${index + 1} is not what the leaf holds closed: it was changed`],
  )
}

export const isSameSize = (one: Checkpoint, other: Checkpoint): boolean => one.log === other.log && one.size === other.size

export const twoHistories = ({ size }: Checkpoint, name: string): string =>
  `${name}: the checkpoint that was kept, of ${size} leaves too, has another root: the bank signed two histories`

type Under = { readonly checkpoint: Checkpoint; readonly verifiers: LogVerifiers; readonly kept: Checkpoint | undefined }

/** The first leaf of a log that follows another, and what it says; undefined of the first log, and where something does not fit. */
export function checkBeginning(
  begins: ProvenLeaf | undefined,
  { checkpoint, verifiers, kept }: Under,
  problems: string[],
): Beginning | undefined {
  if (begins === undefined) {
    if (checkpoint.log > 1) problems.push(`begins: nothing shows how the log ${checkpoint.origin} follows the one before`)
    return undefined
  }
  const before = problems.length
  if (begins.leaf !== 0) problems.push('begins: it is not the first leaf')
  problems.push(...checkLeaf(begins, checkpoint))
  if (problems.length > before) return undefined
  const { content } = begins
  if (content.table === 'ledger.entry') {
    problems.push('begins: it is an entry')
    return undefined
  }
  const { action, subject, occurred_at } = content.shown
  try {
    const beginning = parseBeginning({ action, subject, details: content.details, at: occurred_at ?? '' }, verifiers)
    if (beginning.log !== checkpoint.log) problems.push(`begins: it begins log ${beginning.log}, not ${checkpoint.log}`)
    if (kept !== undefined && kept.log < beginning.log && isLater(kept, beginning.ended))
      problems.push(
        `begins: it says that ${beginning.ended.origin} ended with ${beginning.ended.size} leaves; the one that was kept is of ${kept.size}`,
      )
    else if (kept !== undefined && isSameSize(kept, beginning.ended) && !kept.root.equals(beginning.ended.root))
      problems.push(twoHistories(kept, 'begins'))
    return beginning
  } catch (error) {
    if (!(error instanceof BadCheckpoint)) throw error
    problems.push(`begins: ${error.message}`)
    return undefined
  }
}

/** What a log says of the one before, for whoever reads a proof or a verification. */
export function inWordsOf({ log, ended, met, tree, findings, because, at }: Beginning): string[] {
  const kept = met === undefined ? 'none of its checkpoints' : `its checkpoint of ${met.size} leaves`
  const lost =
    met?.note === ended.note
      ? 'nothing that was signed was lost'
      : `what was signed beyond is not in the database${tree.size === met?.size ? '' : `, which had ${tree.size} leaves`}`
  return [
    `Log ${log} begins anew: ${ended.origin} was signed last with ${ended.size} leaves at ${ended.signedAt.toISOString()}. When log ${log} began, ${at}, the database`,
    `  led to ${kept}: ${lost}.${findings === 0 ? '' : ` ${findings} findings were known.`} Why: ${because}`,
  ]
}
