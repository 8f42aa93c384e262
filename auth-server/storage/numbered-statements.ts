export type Statement = { readonly name: string; readonly text: string }

/** Finds the statement of a kind, or makes it once. Numbered: PostgreSQL cuts names to 63 bytes. */
export function numberedStatements(prefix: string): (kind: string, text: () => string) => Statement {
  const statements = new Map<string, Statement>()
  return (kind, text) => {
    const known = statements.get(kind)
    if (known !== undefined) return known
    const statement = { name: `${prefix}_${statements.size + 1}`, text: text() }
    statements.set(kind, statement)
    return statement
  }
}
