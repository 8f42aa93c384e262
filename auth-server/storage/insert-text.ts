export type Target = {
  readonly table: string
  readonly columns: readonly { readonly name: string; readonly type: 'bytea' | 'text' | 'timestamptz' }[]
  /** The column by which a row may be there already, if it may: the new one takes its place. */
  readonly replaces?: string | undefined
}

/** @param source Where the rows come from, in the order of the columns. */
export function insertText({ table, columns, replaces }: Target, source: string): string {
  const names = columns.map(({ name }) => name)
  const others = names.filter((name) => name !== replaces).map((name) => `${name} = excluded.${name}`)
  return `insert into oidc.${table} (${names.join(', ')}) ${source}
    ${replaces === undefined ? '' : `on conflict (${replaces}) do update set ${others.join(', ')}`}`
}
