import pg from 'pg'

type Parser = (text: string) => unknown
/** What the rows of a statement are like: that cannot change for as long as it is prepared. */
type Shape = { readonly names: readonly string[]; readonly parsers: readonly Parser[] }
/** Of the statements that a connection has answered, by name. */
export type KnownShapes = Map<string, Shape>

type Field = { readonly name: string; readonly dataTypeID: number }
type Wire = { describe(message: object): void }
/** What `pg` asks of a query, and its types do not tell. */
type Internals = {
  readonly name: string | undefined
  readonly _result: { readonly rows: object[] }
  handleRowDescription(message: { readonly fields: readonly Field[] }): void
  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void
  handleCommandComplete(message: object, wire: Wire): void
  hasBeenParsed(wire: Wire): boolean
  prepare(wire: Wire): void
}
const Query = pg.Query as unknown as new (config: pg.QueryConfig) => pg.Submittable & Internals

/**
 * A statement that is asked once what its rows are like, not with each execution as `pg` does: to describe a row of many
 * columns costs both ends about as much as the row.
 */
export class DescribedQuery<Row extends object> extends Query {
  readonly answered: Promise<pg.QueryResult<Row>>
  readonly callback: (error: unknown, result?: pg.QueryResult<Row>) => void
  readonly #known: KnownShapes
  readonly #types: pg.CustomTypesConfig
  #shape: Shape | undefined

  constructor(config: pg.QueryConfig, known: KnownShapes, types: pg.CustomTypesConfig) {
    super(config)
    this.#known = known
    this.#types = types
    const { promise, resolve, reject } = Promise.withResolvers<pg.QueryResult<Row>>()
    this.answered = promise
    this.callback = (error, result) => (error ? reject(error) : resolve(result as pg.QueryResult<Row>))
  }

  override prepare(wire: Wire): void {
    const shape = this.name !== undefined && this.hasBeenParsed(wire) ? this.#known.get(this.name) : undefined
    this.#shape = shape
    super.prepare(shape === undefined ? wire : silent(wire))
  }

  override handleRowDescription(message: { readonly fields: readonly Field[] }): void {
    super.handleRowDescription(message)
    // What has no name may be several statements.
    if (this.name === undefined) return
    const parsers = message.fields.map(({ dataTypeID }) => this.#types.getTypeParser(dataTypeID, 'text') as Parser)
    this.#shape = { names: message.fields.map(({ name }) => name), parsers }
    this.#known.set(this.name, this.#shape)
  }

  override handleDataRow(message: { readonly fields: readonly (string | null)[] }): void {
    if (this.#shape === undefined) {
      super.handleDataRow(message)
      return
    }
    const { names, parsers } = this.#shape
    const row: Record<string, unknown> = {}
    for (let index = 0; index < names.length; index++) {
      const text = message.fields[index] ?? null
      row[names[index] as string] = text === null ? null : (parsers[index] as Parser)(text)
    }
    this._result.rows.push(row)
  }

  override handleCommandComplete(message: object, wire: Wire): void {
    super.handleCommandComplete(message, wire)
    // Without a description there are no rows.
    if (this.name !== undefined && this.#shape === undefined) this.#known.set(this.name, { names: [], parsers: [] })
  }
}

const silentWires = new WeakMap<Wire, Wire>()

/** The same connection, but for one message that it does not send. */
function silent(wire: Wire): Wire {
  const known = silentWires.get(wire)
  if (known !== undefined) return known
  const made = Object.create(wire, { describe: { value: () => {} } }) as Wire
  silentWires.set(wire, made)
  return made
}
