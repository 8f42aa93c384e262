import { Unavailable } from './refusal.ts'

/** Whoever would wait behind so many is better told to come again. */
const waitingAtMost = 2_000

export type GatherOptions = {
  /** Questions of one call: the rest waits for the next. */
  readonly atMost: number
  /** Calls that may run at once. Questions that come meanwhile wait, and go together. */
  readonly callsAtOnce: number
  /**
   * So many go without waiting for the end of the turn; fewer never go beside a call that runs, but as soon as it is answered. So whoever
   * answers works on some while we do on others, and is asked as seldom as that allows. For what is answered as fast as it is asked.
   */
  readonly enough?: number
}

/**
 * Puts what is asked in one turn of the event loop into one call. Each question is asked after it came, never answered from
 * what was asked earlier; a call that fails, fails for all who are in it.
 *
 * @throws {Unavailable} when too many wait.
 * @param ask Answers all questions, in their order.
 */
export function gather<Question, Answer>(
  ask: (questions: readonly Question[]) => Promise<readonly Answer[]>,
  { atMost, callsAtOnce, enough }: GatherOptions,
): (question: Question) => Promise<Answer> {
  type Waiting = { readonly question: Question; readonly resolve: (answer: Answer) => void; readonly reject: (error: unknown) => void }
  const waiting: Waiting[] = []
  /** Beside so many running calls, fewer than enough wait. */
  const freely = enough === undefined ? callsAtOnce : 1
  let running = 0
  let planned = false

  const plan = () => {
    if (running >= callsAtOnce || waiting.length === 0) return
    if (enough !== undefined && waiting.length >= enough) {
      call()
    } else if (!planned && running < freely) {
      planned = true
      setImmediate(endTurn)
    }
  }
  const endTurn = () => {
    planned = false
    if (running < freely && waiting.length > 0) call()
  }
  const done = () => {
    running--
    // What waited for this call goes before anybody hears of it.
    if (enough !== undefined && !planned) endTurn()
    plan()
  }
  const call = () => {
    const asked = waiting.splice(0, atMost)
    running++
    const fail = (error: unknown) => {
      for (const { reject } of asked) reject(error)
    }
    ask(asked.map(({ question }) => question)).then(
      (answers) => {
        done()
        if (answers.length === asked.length) for (const [index, { resolve }] of asked.entries()) resolve(answers[index] as Answer)
        else fail(new Error(`${answers.length} answers to ${asked.length} questions`))
      },
      (error: unknown) => {
        done()
        fail(error)
      },
    )
    plan()
  }
  return (question) =>
    new Promise((resolve, reject) => {
      if (waiting.length >= waitingAtMost) {
        reject(new Unavailable('too many questions wait for an answer'))
        return
      }
      waiting.push({ question, resolve, reject })
      plan()
    })
}
