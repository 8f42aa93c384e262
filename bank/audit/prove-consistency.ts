import { sql, type Transaction, z } from '@bankside/service-kit/postgres'
import { BadCheckpoint, type Checkpoint, type LogVerifiers, openCheckpoint, parseNote } from './checkpoint.ts'
import { type Beginning, findBeginning } from './log-beginning.ts'
import { consistencyPath } from './merkle-tree.ts'
import type { ConsistencyProof } from './proof.ts'
import { CannotProve, NotSignedYet, proveBeginning, provingUnder } from './prove-leaf.ts'
import { firstLog } from './seal-rows.ts'
import { nodesOf } from './stored-tree.ts'

export type KeptPlace = { readonly log?: number; readonly size: number }

/**
 * The path from a checkpoint that somebody kept to the last one: it shows that nothing of what was signed then was changed since. Where
 * another log had to begin meanwhile, as far as that one says that the database still had it.
 *
 * @throws {CannotProve} where no checkpoint of this size was signed, or where it was lost.
 */
export async function proveConsistency(
  tx: Transaction,
  { log = firstLog, size }: KeptPlace,
  verifiers: LogVerifiers,
): Promise<ConsistencyProof> {
  const from = await tx.maybeOne(sql.type(noteRow)`select note from audit.checkpoint where log = ${log} and tree_size = ${size}`)
  if (from === null) throw new CannotProve(`there is no checkpoint of ${size} leaves`)
  const last = await lastCheckpoint(tx, verifiers)
  const way = await wayTo(tx, { log, last, verifiers })
  const [to, ...ends] = [...way.map(({ met }) => met), last]
  const lost = way.find(({ met }, index) => met === undefined || (index === 0 && size > met.size))
  if (to === undefined || lost !== undefined)
    throw new CannotProve(`the checkpoint of ${size} leaves is of what was lost when log ${lost?.log} began`)
  const path = await consistencyPath(size, to.size, nodesOf(tx, log))
  const later: { checkpoint: string; begins: unknown }[] = []
  for (const checkpoint of ends.filter((end) => end !== undefined))
    later.push({ checkpoint: checkpoint.note, begins: await proveBeginning(tx, provingUnder(tx, checkpoint, 'third-party')) })
  return {
    format: 'bankside-consistency-proof/1',
    ...{ from: from.note, to: to.note, path: path.map((hash) => hash.toString('base64')) },
    ...(later.length === 0 ? {} : { later }),
  } as ConsistencyProof
}

type Way = { readonly log: number; readonly last: Checkpoint; readonly verifiers: LogVerifiers }

/** The logs that follow one another from here on, each begun with what was left of the one before. */
async function wayTo(tx: Transaction, { log, last, verifiers }: Way): Promise<Beginning[]> {
  const way: Beginning[] = []
  let at = log
  for (let next = log + 1; next <= last.log; next++) {
    const beginning = await beginningOf(tx, next, verifiers)
    if (beginning?.tree.log !== at) continue
    way.push(beginning)
    at = next
  }
  if (at !== last.log) throw new CannotProve(`log ${log} was lost when log ${last.log} began`)
  return way
}

async function beginningOf(tx: Transaction, log: number, verifiers: LogVerifiers): Promise<Beginning | undefined> {
  try {
    return await findBeginning(tx, log, verifiers)
  } catch (error) {
    throw error instanceof BadCheckpoint ? new CannotProve(`log ${log}: ${error.message}: npm run audit:verify says more`) : error
  }
}

const noteRow = z.object({ note: z.string() })

const lastRow = noteRow.extend({ log: z.number() })

/** Of the log that goes on now. */
export async function lastCheckpoint(tx: Transaction, verifiers: LogVerifiers | undefined): Promise<Checkpoint> {
  const row = await tx.maybeOne(
    sql.type(lastRow)`select log, note from audit.checkpoint where log > ${0} order by log desc, tree_size desc limit 1`,
  )
  if (row === null) throw new NotSignedYet('nothing was signed yet')
  return verifiers === undefined ? { ...parseNote(row.note), log: row.log } : openCheckpoint(row.note, verifiers)
}
