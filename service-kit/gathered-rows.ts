import { type GatherOptions, gather } from './gather.ts'
import { standsAlone, type Transaction } from './postgres.ts'

type Gathering = Pick<GatherOptions, 'callsAtOnce' | 'enough'>
/** As many as connections carry such statements: what comes while they are out goes with the next. */
const freely: Gathering = { callsAtOnce: 2, enough: 8 }
const questionsOfOneCall = 100

/** A row with the place of its question among those that were asked together, from 1: what `with ordinality` counts. */
type Placed = { readonly place: number }

/**
 * For a question that nearly every request asks: outside a transaction, what is asked in one turn of the event loop goes in one
 * statement, which PostgreSQL begins and ends once for all of them. Each is asked after its request came. In a transaction a
 * question goes by itself, since each sees the data of its own.
 *
 * @param ask Answers all questions with at most one row each, in one statement.
 */
export function gatheredRows<Question, Row extends Placed>(
  ask: (tx: Transaction, questions: readonly Question[]) => Promise<readonly Row[]>,
  gathering: Gathering = freely,
): (tx: Transaction, question: Question) => Promise<Row | undefined> {
  const together = new WeakMap<Transaction, (question: Question) => Promise<Row | undefined>>()
  const askAll = async (tx: Transaction, questions: readonly Question[]): Promise<(Row | undefined)[]> => {
    const answers = Array<Row | undefined>(questions.length).fill(undefined)
    for (const row of await ask(tx, questions)) {
      if (answers[row.place - 1] !== undefined) throw new Error('more than one row for a question')
      answers[row.place - 1] = row
    }
    return answers
  }
  return (tx, question) => {
    const known = together.get(tx)
    if (known !== undefined) return known(question)
    if (!standsAlone(tx)) return askAll(tx, [question]).then(([row]) => row)
    const first = gather((questions: readonly Question[]) => askAll(tx, questions), { ...gathering, atMost: questionsOfOneCall })
    together.set(tx, first)
    return first(question)
  }
}
