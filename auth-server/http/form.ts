import { answerProblem, problems } from './problem-answer.ts'
import { maxBodyBytes } from './read-whole-body.ts'
import type { Context } from './request-context.ts'

/** What a page's form can hold, with limits: of anything else, nothing is looked at. */
export type Form = {
  one(field: string): string
  all(field: string): readonly string[]
  /** Those of these fields that are there, as pairs. */
  entries(...fields: readonly string[]): [name: string, value: string][]
}

/** For what happens without one. */
export const noForm: Form = { one: () => '', all: () => [], entries: () => [] }

const maxFieldLength = 2_048
/** No browser's field holds one, and no text of the database can. */
const zero = '\0'

/**
 * Reads a posted form that came from a page of ours, or answers and returns undefined. Browsers say where a request comes
 * from, so a form on another site is refused before anything in it is looked at (BCP-12).
 */
export async function readForm(ctx: Context, origin: string): Promise<Form | undefined> {
  if (!isFromOurPage(ctx, origin)) {
    answerProblem(ctx, problems.foreignForm)
    return undefined
  }
  const body = await readBody(ctx)
  if (body === undefined) {
    answerProblem(ctx, problems.tooLarge)
    return undefined
  }
  const fields = new URLSearchParams(body)
  const all = (field: string) => fields.getAll(field).filter((value) => value.length <= maxFieldLength && !value.includes(zero))
  const entries = (...names: readonly string[]) => names.flatMap((name) => all(name).map((value): [string, string] => [name, value]))
  return { all, one: (field) => all(field)[0] ?? '', entries }
}

/** A form that may come from anywhere, because nothing happens by it that an address could not do as well. Undefined when it is too long. */
export async function readAnyForm(ctx: Context): Promise<URLSearchParams | undefined> {
  const body = await readBody(ctx)
  return body === undefined ? undefined : new URLSearchParams(body)
}

/** `Origin: null` is what a page sends that hides where it is; ours do not. Programs that send neither header still need the page token. */
function isFromOurPage(ctx: Context, origin: string): boolean {
  const site = ctx.get('Sec-Fetch-Site')
  if (site !== '' && site !== 'same-origin') return false
  const from = ctx.get('Origin')
  return from === '' || from === origin || (from === 'null' && site === 'same-origin')
}

async function readBody(ctx: Context): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of ctx.req.iterator({ destroyOnReturn: false })) {
    length += (chunk as Buffer).length
    if (length > maxBodyBytes) {
      ctx.set('Connection', 'close')
      ctx.req.resume()
      return undefined
    }
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}
