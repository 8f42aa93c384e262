type Is<Value> = (value: unknown) => value is Value
type Fields = Readonly<Record<string, Is<unknown>>>
type RowOf<Checks extends Fields> = { readonly [Name in keyof Checks]: Checks[Name] extends Is<infer Value> ? Value : never }

type Outcome<Row> = { readonly value: Row } | { readonly issues: readonly { readonly message: string }[] }
/** As `sql.type` takes it (Standard Schema). */
export type RowShape<Row> = {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: 'bankside'
    readonly validate: (row: unknown) => Outcome<Row>
    readonly types?: { readonly input: unknown; readonly output: Row }
  }
}
/** What a shape says of a row. */
export type RowIn<Shape extends RowShape<unknown>> = NonNullable<Shape['~standard']['types']>['output']

/** For a query of nearly every request: each field is looked at, and the row stays as it is. A schema of zod makes another, for five times as much. */
export function rowShape<Checks extends Fields>(fields: Checks): RowShape<RowOf<Checks>> {
  const checks = Object.entries(fields)
  const validate = (row: unknown): Outcome<RowOf<Checks>> => {
    for (let index = 0; index < checks.length; index++) {
      const [name, is] = checks[index] as (typeof checks)[number]
      if (!is((row as Record<string, unknown>)[name])) return { issues: [{ message: `${name} is something else` }] }
    }
    return { value: row as RowOf<Checks> }
  }
  return { '~standard': { version: 1, vendor: 'bankside', validate } }
}

export const isText: Is<string> = (value) => typeof value === 'string'
export const isNumber: Is<number> = (value) => typeof value === 'number'
export const isWhole: Is<bigint> = (value) => typeof value === 'bigint'
export const isTruth: Is<boolean> = (value) => typeof value === 'boolean'
export const isInstant: Is<Date> = (value): value is Date => value instanceof Date && !Number.isNaN(value.getTime())

export const orNull =
  <Value>(is: Is<Value>): Is<Value | null> =>
  (value): value is Value | null =>
    value === null || is(value)

export function oneOf<const Word extends string>(words: readonly Word[]): Is<Word> {
  const known: ReadonlySet<unknown> = new Set(words)
  return (value): value is Word => known.has(value)
}

/** A list of so and so, looked at without a copy of it. */
export const listOf =
  <Member>(is: Is<Member>): Is<readonly Member[]> =>
  (value): value is readonly Member[] =>
    Array.isArray(value) && value.every(is)
