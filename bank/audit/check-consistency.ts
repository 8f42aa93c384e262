import { type CheckedProof, checkBeginning, inWordsOf, isSameSize, opened, twoHistories } from './check-leaf.ts'
import type { Checkpoint, LogVerifiers } from './checkpoint.ts'
import type { Beginning } from './log-beginning.ts'
import { isConsistent } from './merkle-tree.ts'
import type { ConsistencyProof, ProvenLeaf } from './proof.ts'

export function checkConsistency(proof: ConsistencyProof, verifiers: LogVerifiers, kept: Checkpoint | undefined): CheckedProof {
  const problems: string[] = []
  const [earlier, later] = [opened(proof.from, 'from', verifiers, problems), opened(proof.to, 'to', verifiers, problems)]
  if (earlier === undefined || later === undefined) return { proven: [], problems }
  if (kept !== undefined && !(isSameSize(kept, earlier) && kept.root.equals(earlier.root)))
    problems.push(
      isSameSize(kept, earlier)
        ? twoHistories(kept, 'from')
        : `from: it is of ${earlier.size} leaves; the one that was kept is of ${kept.size}`,
    )
  const path = proof.path.map((hash) => Buffer.from(hash, 'base64'))
  if (earlier.log !== later.log || !isConsistent(earlier, later, path))
    problems.push(`path: it does not lead from ${earlier.size} to ${later.size} leaves: it was changed, or the history was rewritten`)
  const beginnings = problems.length > 0 ? [] : checkLater(proof, later, { verifiers, kept }, problems)
  if (problems.length > 0) return { proven: [], problems }
  return {
    proven: [
      `The log ${later.origin} of ${later.size} leaves, signed ${later.signedAt.toISOString()}, begins with the ${earlier.size} leaves that were signed ${earlier.signedAt.toISOString()}.`,
      'Nothing that was sealed by then was changed, taken away, slipped in or moved in between.',
      ...beginnings.flatMap(inWordsOf),
    ],
    problems,
  }
}

type Against = { readonly verifiers: LogVerifiers; readonly kept: Checkpoint | undefined }

/** Each log begins with what the proof has led to of the one before. */
function checkLater(proof: ConsistencyProof, to: Checkpoint, { verifiers, kept }: Against, problems: string[]): Beginning[] {
  const beginnings: Beginning[] = []
  let reached = to
  for (const [index, given] of (proof.later ?? []).entries()) {
    const name = `later.${index}`
    const checkpoint = opened(given.checkpoint, name, verifiers, problems)
    const beginning = checkpoint && checkBeginning(given.begins as ProvenLeaf, { checkpoint, verifiers, kept }, problems)
    if (checkpoint === undefined || beginning === undefined) return beginnings
    const { met } = beginning
    if (met === undefined || !isSameSize(met, reached) || !met.root.equals(reached.root))
      problems.push(`${name}: it does not begin with what the log before had: it follows another history`)
    beginnings.push(beginning)
    reached = checkpoint
  }
  return beginnings
}
