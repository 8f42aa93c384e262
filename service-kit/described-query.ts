import pg from 'pg'
import type { RowMessage } from './row-messages.ts'
import { type FromBytes, rowTypes } from './row-values.ts'
import { asSent } from './sent-values.ts'

/** What the rows of a statement are like: that cannot change for as long as it is prepared. */
type Shape = {
  readonly names: readonly string[]
  /** A row without values: a copy of it is filled faster than an empty object. */
  readonly blank: Readonly<Record<string, null>>
  readonly fromText: readonly FromBytes[]
  /** Unless a column is of a type that goes as text: then all do. */
  readonly fromBinary: readonly FromBytes[] | undefined
}
/** Of the statements that a connection has answered, by name. */
export type KnownShapes = Map<string, Shape>

type Field = { readonly name: string; readonly dataTypeID: number }
type Wire = { describe(message: object): void }
/** What `pg` asks of a query, and its types do not tell. */
type Internals = {
  name: string | undefined
  values: unknown[] | undefined
  readonly _result: { readonly rows: object[] }
  binary: boolean
  _canceledDueToError: unknown
  handleRowDescription(message: { readonly fields: readonly Field[] }): void
  handleDataRow(message: RowMessage): void
  handleCommandComplete(message: object, wire: Wire): void
  hasBeenParsed(wire: Wire): boolean
  prepare(wire: Wire): void
}
const Query = pg.Query as unknown as new (text: string) => pg.Submittable & Internals

/**
 * A statement that is asked once what its rows are like, not with each execution as `pg` does: to describe a row of many
 * columns costs both ends about as much as the row. Once that is known, its rows come in binary.
 */
export class DescribedQuery<Row extends object> extends Query {
  readonly answered: Promise<pg.QueryResult<Row>>
  readonly callback: (error: unknown, result?: pg.QueryResult<Row>) => void
  readonly #known: KnownShapes
  readonly #types: pg.CustomTypesConfig
  #shape: Shape | undefined
  #readers: readonly FromBytes[] = []

  constructor(config: pg.QueryConfig, known: KnownShapes, types: pg.CustomTypesConfig) {
    // Given a whole configuration, `pg` copies it, which costs more than sending it.
    super(config.text)
    this.name = config.name
    this.values = config.values?.map(asSent)
    this.#known = known
    this.#types = types
    const { promise, resolve, reject } = Promise.withResolvers<pg.QueryResult<Row>>()
    this.answered = promise
    this.callback = (error, result) => (error ? reject(error) : resolve(result as pg.QueryResult<Row>))
  }

  override prepare(wire: Wire): void {
    const shape = this.name !== undefined && this.hasBeenParsed(wire) ? this.#known.get(this.name) : undefined
    this.#shape = shape
    this.binary = shape?.fromBinary !== undefined
    this.#readers = shape?.fromBinary ?? shape?.fromText ?? []
    super.prepare(shape === undefined ? wire : silent(wire))
  }

  override handleRowDescription(message: { readonly fields: readonly Field[] }): void {
    super.handleRowDescription(message)
    // What has no name may be several statements.
    if (this.name === undefined) return
    this.#shape = shapeOf(message.fields, this.#types)
    this.#readers = this.#shape.fromText
    this.#known.set(this.name, this.#shape)
  }

  override handleDataRow(message: RowMessage): void {
    if (this.#shape === undefined) {
      super.handleDataRow(message)
      return
    }
    // As `pg` itself does with a value that cannot be read: the statement fails, once it has come to its end.
    if (this._canceledDueToError) return
    try {
      this._result.rows.push(this.#readRow(this.#shape, message))
    } catch (error) {
      this._canceledDueToError = error
    }
  }

  #readRow({ names, blank }: Shape, { bytes, start }: RowMessage): object {
    const row: Record<string, unknown> = { ...blank }
    let at = start + 2
    for (let index = 0; index < names.length; index++) {
      const length = bytes.readInt32BE(at)
      at += 4
      if (length < 0) continue
      row[names[index] as string] = (this.#readers[index] as FromBytes)(bytes, at, length)
      at += length
    }
    return row
  }

  override handleCommandComplete(message: object, wire: Wire): void {
    super.handleCommandComplete(message, wire)
    // Without a description there are no rows.
    if (this.name !== undefined && this.#shape === undefined) this.#known.set(this.name, shapeOf([], this.#types))
  }
}

function shapeOf(fields: readonly Field[], types: pg.CustomTypesConfig): Shape {
  const names = fields.map(({ name }) => name)
  const fromText = fields.map(({ dataTypeID }): FromBytes => {
    const parse = types.getTypeParser(dataTypeID, 'text') as (text: string) => unknown
    return (bytes, start, length) => parse(bytes.toString('utf8', start, start + length))
  })
  const fromBinary = types === rowTypes ? fields.map(({ dataTypeID }) => rowTypes.fromBytes(dataTypeID)) : []
  return {
    names,
    blank: Object.fromEntries(names.map((name) => [name, null])),
    fromText,
    fromBinary: fromBinary.every((read) => read !== undefined) && fromBinary.length === names.length ? fromBinary : undefined,
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
