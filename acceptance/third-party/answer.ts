/** What an API answered, with a way into its JSON that needs no type of ours. */
export type Answer = {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The value at a path such as `Data.Account.0.AccountId`, or undefined. */
  at(path: string): unknown
  /** The text at a path. @throws when there is none: the answer is then part of the message. */
  textAt(path: string): string
  listAt(path: string): readonly Answered[]
}
export type Answered = Pick<Answer, 'at' | 'textAt' | 'listAt'>

export async function readAnswer(response: Response): Promise<Answer> {
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, ...answered(parsed(text), `${response.status} ${text.slice(0, 400)}`) }
}

function answered(json: unknown, whole: string): Answered {
  const at = (path: string) => path.split('.').reduce<unknown>(member, json)
  return {
    at,
    textAt(path) {
      const value = at(path)
      if (typeof value !== 'string') throw new Error(`no text at ${path} in ${whole}`)
      return value
    },
    listAt(path) {
      const value = path === '' ? json : at(path)
      if (!Array.isArray(value)) throw new Error(`no list at ${path} in ${whole}`)
      return value.map((item: unknown) => answered(item, JSON.stringify(item)))
    },
  }
}

const member = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // Not every answer has a body, and not every body is JSON: at() then finds nothing.
  }
}
