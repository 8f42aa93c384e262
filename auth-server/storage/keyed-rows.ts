import type { Clock } from '@bankside/service-kit/clock'
import { gather } from '@bankside/service-kit/gather'
import type { Prepared } from '@bankside/service-kit/prepared'
import { protocolErrors } from '../protocol-errors.ts'

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
/** Finds rows of one source. What is looked for in one turn of the event loop, in whichever table, goes in one statement. */
export type KeyedRows = (source: Source) => Find

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
  return (source) => (key) => find({ source, key })
}

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
  const found = new Map(rows.map((row) => [`${row.source} ${row.key}`, row]))
  return questions.map(({ source, key }) => found.get(`${source.name} ${textOf(key)}`))
}

const textOf = (key: Buffer | string): string => (typeof key === 'string' ? key : key.toString('hex'))

type Statement = { readonly name: string; readonly text: string }
const statements = new Map<string, Statement>()

/** One for each set of sources that is asked together. Numbered: PostgreSQL cuts names to 63 bytes. */
function statementFor(asked: readonly Part[]): Statement {
  const sources = asked.map(({ source, isSingle }) => `${source.name}${isSingle ? '' : 's'}`).join(' ')
  const known = statements.get(sources)
  if (known !== undefined) return known
  const text = asked.map(({ source, isSingle }, index) => selectFrom(source, `$${index + 2}`, isSingle)).join(' union all ')
  const statement = { name: `keyed_rows_${statements.size + 1}`, text }
  statements.set(sources, statement)
  return statement
}

function selectFrom({ name, table, key, payload, consumedAt = 'null', condition }: Source, place: string, isSingle: boolean): string {
  const shownKey = key.type === 'bytea' ? `encode(${key.column}, 'hex')` : key.column
  const matches = isSingle ? `${place}::${key.type}` : `any(${place}::${key.type}[])`
  return `select '${name}' as source, ${shownKey} as key, ${payload} as payload, ${consumedAt}::timestamptz as consumed_at
    from ${table} where ${key.column} = ${matches} and ${condition}`
}
