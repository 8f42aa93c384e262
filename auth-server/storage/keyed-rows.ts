import type { Clock } from '@bankside/service-kit/clock'
import { gather } from '@bankside/service-kit/gather'
import type { Prepared } from '@bankside/service-kit/prepared'
import { Provider } from 'oidc-provider'
import { keptWithRequest } from '../http/kept-with-request.ts'
import { protocolErrors } from '../protocol-errors.ts'
import { numberedStatements, type Statement } from './numbered-statements.ts'

/** A table whose rows are found by their key. */
export type Source = {
  /** Names the statements: one name, one source. */
  readonly name: string
  readonly table: string
  readonly key: { readonly column: string; readonly type: 'bytea' | 'text' }
  readonly payload: string
  readonly consumedAt?: string
  /** What else must be true of a row. The time is `$1`. */
  readonly condition: string
}

export type KeyedRow = { readonly payload: string; readonly consumed_at: Date | null }
export type Find = (key: Buffer | string) => Promise<KeyedRow | undefined>
export type Ahead = { readonly source: string; readonly key: Buffer | string }
/** Finds rows of one source. What is looked for in one turn of the event loop, in whichever table, goes in one statement. */
export type KeyedRows = ((source: Source) => Find) & {
  /**
   * Asks at once for what a request is going to look for one after the other: it waits once, in one statement. Each is asked
   * after the request came, and answers this request only, and once. A source that nobody has (in Redis, say) is not asked.
   */
  readonly askAhead: (request: object, questions: readonly Ahead[]) => void
  /** What was asked ahead will be looked for as something else, whose key was not known yet. */
  readonly rename: (request: object, asked: Ahead, lookedFor: Ahead) => void
}

const rowsPerStatement = 100
const statementsAtOnce = 2
/** One key alone is found more cheaply than by a list. In more sources than this it goes as a list all the same: texts stay few. */
const singlesAtMost = 3

type Question = { readonly source: Source; readonly key: Buffer | string }
type Asked = { readonly source: Source; readonly keys: Map<string, Buffer | string> }
type Part = { readonly source: Source; readonly keys: readonly (Buffer | string)[]; readonly isSingle: boolean }
type Row = KeyedRow & { readonly source: string; readonly key: string }

export function keyedRows(prepared: Prepared, clock: Clock): KeyedRows {
  const find = gather((questions: readonly Question[]) => protocolErrors(findAll(prepared, questions, clock.now())), {
    atMost: rowsPerStatement,
    callsAtOnce: statementsAtOnce,
  })
  const sources = new Map<string, Source>()
  const ahead = keptWithRequest<Map<string, Promise<KeyedRow | undefined>>>('asked ahead')
  const take = (request: object | undefined, question: Ahead) => {
    const asked = request && ahead.get(request)
    if (asked === undefined) return undefined
    const name = nameOf(question)
    const answer = asked.get(name)
    asked.delete(name)
    return answer
  }
  const of = (source: Source): Find => {
    sources.set(source.name, source)
    return (key) => take(Provider.ctx, { source: source.name, key }) ?? find({ source, key })
  }
  const askAhead: KeyedRows['askAhead'] = (request, questions) => {
    const asked = ahead.get(request) ?? new Map<string, Promise<KeyedRow | undefined>>()
    ahead.set(request, asked)
    for (const question of questions) {
      const source = sources.get(question.source)
      if (source === undefined) continue
      const answer = find({ source, key: question.key })
      // When the request is refused before, nobody comes for it.
      answer.catch(() => {})
      asked.set(nameOf(question), answer)
    }
  }
  const rename: KeyedRows['rename'] = (request, asked, lookedFor) => {
    const answer = take(request, asked)
    if (answer !== undefined) ahead.get(request)?.set(nameOf(lookedFor), answer)
  }
  return Object.assign(of, { askAhead, rename })
}

const nameOf = ({ source, key }: Ahead): string => `${source} ${textOf(key)}`

async function findAll(prepared: Prepared, questions: readonly Question[], now: Date): Promise<readonly (KeyedRow | undefined)[]> {
  const bySource = new Map<string, Asked>()
  for (const { source, key } of questions) {
    const asked = bySource.get(source.name) ?? { source, keys: new Map() }
    asked.keys.set(textOf(key), key)
    bySource.set(source.name, asked)
  }
  const sources = [...bySource.values()].sort((one, other) => (one.source.name < other.source.name ? -1 : 1))
  const asked = sources.map(
    ({ source, keys }): Part => ({ source, keys: [...keys.values()], isSingle: keys.size === 1 && sources.length <= singlesAtMost }),
  )
  const { name, text } = statementFor(asked)
  const values = asked.map(({ keys, isSingle }) => (isSingle ? keys[0] : keys))
  const rows = await prepared.query<Row>(name, text, [now, ...values])
  const found = new Map(rows.map((row) => [nameOf(row), row]))
  return questions.map(({ source, key }) => found.get(nameOf({ source: source.name, key })))
}

const textOf = (key: Buffer | string): string => (typeof key === 'string' ? key : key.toString('hex'))

const statements = numberedStatements('keyed_rows')

/** One for each set of sources that is asked together. */
function statementFor(asked: readonly Part[]): Statement {
  const sources = asked.map(({ source, isSingle }) => `${source.name}${isSingle ? '' : 's'}`).join(' ')
  return statements(sources, () =>
    asked.map(({ source, isSingle }, index) => selectFrom(source, `$${index + 2}`, isSingle)).join(' union all '),
  )
}

/**
 * Planned while a table is small, a lookup by key would go through all that has not expired instead, and go on to do so when the table is
 * large. So nothing but the key is looked for, each of a list by itself, and what else must be true of a row is looked at afterwards.
 */
function selectFrom({ name, table, key, payload, consumedAt = 'null', condition }: Source, place: string, isSingle: boolean): string {
  const shownKey = key.type === 'bytea' ? `encode(${key.column}, 'hex')` : key.column
  const columns = `${shownKey} as key, ${payload} as payload, ${consumedAt}::timestamptz as consumed_at, ${condition} as holds`
  const rowOf = (one: string) => `(select ${columns} from ${table} where ${key.column} = ${one} offset 0) as found`
  const from = isSingle
    ? rowOf(`${place}::${key.type}`)
    : `unnest(${place}::${key.type}[]) as asked (key) cross join lateral ${rowOf('asked.key')}`
  return `select '${name}' as source, found.key, found.payload, found.consumed_at from ${from} where found.holds`
}
