export type Cell = string | number | bigint | null

export type ArrayLiteral = {
  readonly add: (cell: Cell) => void
  /** As PostgreSQL reads it. Null when nothing but nulls was added: to `unnest`, that is the same, and nothing to read. */
  readonly text: () => string | null
}

/** Only text can hold what an array literal must not: anything else is written as it is. */
export function openArrayLiteral(isText: boolean): ArrayLiteral {
  let text = ''
  let nulls = 0
  return {
    add(cell) {
      if (cell === null) {
        nulls++
        return
      }
      if (nulls > 0) {
        text += 'NULL,'.repeat(nulls)
        nulls = 0
      }
      text += isText ? `"${needsEscape.test(cell as string) ? (cell as string).replaceAll(/["\\]/g, '\\$&') : cell}",` : `${cell},`
    },
    text: () => (text === '' ? null : `{${`${text}${'NULL,'.repeat(nulls)}`.slice(0, -1)}}`),
  }
}

const needsEscape = /["\\]/
