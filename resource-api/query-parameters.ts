import type { AnyRefusal, Violation } from './request-refusal.ts'
import { throwViolations } from './request-refusal.ts'

/** Reads the parameters of a query one by one, and then tells all that is wrong with them at once. Those that are not asked for are ignored. */
export type QueryReader = {
  /** One that is given twice is not guessed about. */
  readonly text: (name: string) => string | undefined
  readonly parsed: <Value>(
    name: string,
    parse: (text: string) => Value | undefined,
    problem: { readonly code: AnyRefusal; readonly message: string },
  ) => Value | undefined
  /** @throws {Violations} */
  readonly end: () => void
}

export function readQuery(query: URLSearchParams): QueryReader {
  const violations: Violation[] = []
  const text = (name: string): string | undefined => {
    const [value, ...others] = query.getAll(name)
    if (others.length > 0) violations.push(['parameter_invalid', name, 'must be given once'])
    return value
  }
  return {
    text,
    parsed(name, parse, { code, message }) {
      const given = text(name)
      const value = given === undefined ? undefined : parse(given)
      if (given !== undefined && value === undefined) violations.push([code, name, message])
      return value
    },
    end: () => throwViolations(violations),
  }
}
