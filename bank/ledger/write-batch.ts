import type { Clock } from '@bankside/service-kit/clock'
import { violatedConstraint } from '@bankside/service-kit/postgres'
import { Unavailable } from '@bankside/service-kit/refusal'
import { isRepeated, retried } from '@bankside/service-kit/retried'
import type { EntryId, HoldId } from '../ids.ts'
import { type Decline, declines, type MovementOutcome } from './movement.ts'
import { type MovementCall, movementCall, movementStatement, transferCall, transferStatement } from './movement-call.ts'
import type { Lane } from './movement-lanes.ts'
import type { Waiting } from './movement-queue.ts'

/**
 * Writes a batch. A fault of one is answered to that one alone: the others are written without it.
 *
 * @returns what answers everyone in it: all of it is committed.
 */
export async function writeBatch(lane: Lane, batch: readonly Waiting[], clock: Clock): Promise<() => void> {
  try {
    const outcomes = await callWithRetries(lane, batch, clock)
    return () => {
      for (const [index, { resolve }] of batch.entries()) resolve(outcomes[index] as MovementOutcome)
    }
  } catch (error) {
    if (error instanceof Unavailable || batch.length === 1)
      return () => {
        for (const { reject } of batch) reject(error)
      }
    const answers: (() => void)[] = []
    for (const one of batch) answers.push(await writeBatch(lane, [one], clock))
    return () => {
      for (const answer of answers) answer()
    }
  }
}

/**
 * A call whose connection was lost may have been committed: asked again with the same keys and the same ids, it answers what was
 * made, so asking again is safe as often as it is needed.
 */
async function callWithRetries(lane: Lane, batch: readonly Waiting[], clock: Clock): Promise<MovementOutcome[]> {
  const movements = batch.map(({ movement }) => movement)
  const now = clock.now()
  const [only] = movements
  const single = movements.length === 1 && only !== undefined ? transferCall(only, now) : undefined
  const plain = single && (await callOne(lane, single))
  if (plain !== undefined) return [plain]
  const { values, made } = movementCall(movements, now)
  return retried(async () => {
    const [row] = await lane.call<{ outcome: string[]; replayed: (string | null)[] | null }>(movementStatement, values)
    if (row?.outcome.length !== batch.length) throw new Error('a call of the ledger was not answered for each movement')
    return row.outcome.map((word, index) => toOutcome(word, row.replayed?.[index] ?? '', [made[index] ?? [], single?.made[0] ?? []]))
  }, mayRepeat)
}

/** Another process made the same movement this moment: asked again, that is seen. */
const mayRepeat = (error: unknown) => isRepeated(error) || violatedConstraint(error) === 'movement_is_made_once'

/**
 * One transfer by itself. Undefined when it cannot be made, its key was used before, or it is to be asked again: then it goes the way of
 * all others, and what stands against it is found there.
 */
async function callOne(lane: Lane, { values, made }: MovementCall): Promise<MovementOutcome | undefined> {
  try {
    await lane.call(transferStatement, values)
    return { made: made[0] ?? [], replayed: false }
  } catch (error) {
    if (mayRepeat(error) || violatedConstraint(error) === 'transfer_can_be_made') return undefined
    throw error
  }
}

/** `attempted`: the ids that this call gave, and those that one before it gave which was not answered. */
function toOutcome(word: string, replayed: string, attempted: readonly (readonly (EntryId | HoldId)[])[]): MovementOutcome {
  if (word === 'done') return { made: attempted[0] ?? [], replayed: false }
  if (word === 'replayed') {
    const ids = replayed === '' ? [] : (replayed.split(' ') as (EntryId | HoldId)[])
    // Its own ids: the answer to an earlier attempt was lost, not the commit.
    return { made: ids, replayed: !attempted.some(([first]) => first !== undefined && first === ids[0]) }
  }
  if (!(declines as readonly string[]).includes(word)) throw new Error(`the ledger answered ${word}`)
  return { declined: word as Decline }
}
