import { Unavailable } from './refusal.ts'

/** Whoever would wait behind so many is better told to come again. */
const waitingAtMost = 2_000

export type GatherOptions = {
  /** Questions of one call: the rest waits for the next. */
  readonly atMost: number
  /** Calls that may run at once. Questions that come meanwhile wait, and go together. */
  readonly callsAtOnce: number
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
  { atMost, callsAtOnce }: GatherOptions,
): (question: Question) => Promise<Answer> {
  type Waiting = { readonly question: Question; readonly resolve: (answer: Answer) => void; readonly reject: (error: unknown) => void }
  const waiting: Waiting[] = []
  let running = 0
  let planned = false

  const plan = () => {
    if (planned || running >= callsAtOnce || waiting.length === 0) return
    planned = true
    setImmediate(call)
  }
  const call = () => {
    planned = false
    const asked = waiting.splice(0, atMost)
    running++
    ask(asked.map(({ question }) => question))
      .then((answers) => {
        if (answers.length !== asked.length) throw new Error(`${answers.length} answers to ${asked.length} questions`)
        for (const [index, { resolve }] of asked.entries()) resolve(answers[index] as Answer)
      })
      .catch((error: unknown) => {
        for (const { reject } of asked) reject(error)
      })
      .finally(() => {
        running--
        plan()
      })
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
