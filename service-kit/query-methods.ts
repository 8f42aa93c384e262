import { type DatabaseTransactionConnection, NotFoundError, type QuerySqlToken } from 'slonik'

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

type Statement = { readonly name: string | undefined; readonly text: string }
const statements = new Map<string, Statement>()

/** As slonik itself does: until it sends a query, its placeholders have names that fragments cannot have. Done once for a text. */
function statementOf(sql: string): Statement {
  const known = statements.get(sql)
  if (known !== undefined) return known
  const text = sql.replaceAll('$slonik_', '$')
  const statement = { name: statementName({ sql: text, values: [null] }), text }
  if (statement.name !== undefined) statements.set(sql, statement)
  return statement
}

type Answer = { readonly rows: object[]; readonly rowCount: number | null }
/** Sends one statement. */
export type Send = (name: string | undefined, text: string, values: readonly unknown[]) => Promise<Answer>

/**
 * What is asked of a transaction, as slonik defines it, on a connection of `pg`: the same rows and the same checks for about
 * a third of what slonik's own connection costs.
 */
export function queryMethods(send: Send): DatabaseTransactionConnection {
  const query = async ({ sql, values, parser }: QuerySqlToken): Promise<Answer> => {
    const { name, text } = values.length === 0 ? { name: undefined, text: sql } : statementOf(sql)
    const { rows, rowCount } = await send(name, text, values)
    return { rows: parser === undefined ? rows : rows.map((row) => checkedRow(parser, row, text)), rowCount }
  }
  const any = async (token: QuerySqlToken): Promise<object[]> => (await query(token)).rows
  const maybeOne = async (token: QuerySqlToken): Promise<object | null> => {
    const [row = null, another] = await any(token)
    if (another !== undefined) throw new Error(`more than one row: ${token.sql}`)
    return row
  }
  const one = async (token: QuerySqlToken): Promise<object> => {
    const row = await maybeOne(token)
    if (row === null) throw new NotFoundError('no row', token)
    return row
  }
  const first = (row: object): unknown => Object.values(row)[0]
  const methods = {
    query,
    any,
    maybeOne,
    one,
    anyFirst: async (token: QuerySqlToken) => (await any(token)).map(first),
    oneFirst: async (token: QuerySqlToken) => first(await one(token)),
    exists: async (token: QuerySqlToken) => first(await one({ ...token, sql: `select exists(${token.sql})` })),
  }
  // These are all that anyone here uses; what is missing is missed by the first test that runs it.
  return methods as unknown as DatabaseTransactionConnection
}
