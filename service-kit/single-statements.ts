import { type DatabaseTransactionConnection, NotFoundError, type QuerySqlToken } from 'slonik'
import type { Prepared } from './prepared.ts'

/** More texts than all our processes have together: one that is put together anew each time must not fill PostgreSQL's memory. */
const preparedTextsAtMost = 500
const names = new Map<string, string>()

/** A name for a text, the same each time. Undefined when there are too many, or for what may be several statements. */
export function statementName({ sql: text, values }: Pick<QuerySqlToken, 'sql' | 'values'>): string | undefined {
  if (values.length === 0) return undefined
  const known = names.get(text)
  if (known !== undefined || names.size >= preparedTextsAtMost) return known
  const name = `q${names.size + 1}`
  names.set(text, name)
  return name
}

/** Checks a row against the schema of its query. @throws {Error} */
export function checkedRow(schema: QuerySqlToken['parser'] | undefined, row: object, text: string): object {
  const checked = schema?.['~standard'].validate(row)
  if (checked === undefined) return row
  if (checked instanceof Promise || checked.issues) throw new Error(`a row does not match its schema: ${text}`)
  return checked.value as object
}

/**
 * The query methods of a transaction, for statements that need none: each goes its own way, prepared, beside those of other
 * requests on the same connections. That costs about a third of a connection of slonik's pool.
 */
export function singleStatements(prepared: Prepared): DatabaseTransactionConnection {
  const any = async (query: QuerySqlToken): Promise<object[]> => {
    // As slonik itself does: until it sends a query, its placeholders have names that fragments cannot have.
    const text = query.sql.replaceAll('$slonik_', '$')
    const rows = await prepared.query(statementName({ sql: text, values: query.values }), text, query.values)
    return rows.map((row) => checkedRow(query.parser, row, query.sql))
  }
  const maybeOne = async (query: QuerySqlToken): Promise<object | null> => {
    const [row = null, another] = await any(query)
    if (another !== undefined) throw new Error(`more than one row: ${query.sql}`)
    return row
  }
  const one = async (query: QuerySqlToken): Promise<object> => {
    const row = await maybeOne(query)
    if (row === null) throw new NotFoundError('no row', query)
    return row
  }
  const first = (row: object): unknown => Object.values(row)[0]
  const methods = {
    any,
    maybeOne,
    one,
    anyFirst: async (query: QuerySqlToken) => (await any(query)).map(first),
    oneFirst: async (query: QuerySqlToken) => first(await one(query)),
    exists: async (query: QuerySqlToken) => first(await one({ ...query, sql: `select exists(${query.sql})` })),
    query: async (query: QuerySqlToken) => ({ rows: await any(query) }),
  }
  // Such work uses these methods only: whatever needs more needs a transaction.
  return methods as unknown as DatabaseTransactionConnection
}
