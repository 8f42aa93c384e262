import type { z } from 'zod'
import { type AnyRefusal, throwViolations, type Violation } from './request-refusal.ts'

type Path = readonly PropertyKey[]

/** How an API names a place in a body. */
export type PathStyle = (path: Path) => string

/** `Data.Permissions[0]`, as Open Banking writes it. */
export const dottedPath: PathStyle = (path) =>
  path.map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index > 0 ? '.' : ''}${String(part)}`)).join('')

/** `/amount_cents` (RFC 6901). */
export const jsonPointer: PathStyle = (path) => path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

const violationsLimit = 50
const pathLimit = 500

/**
 * Checks a body and reports all that is wrong with it at once. A schema names a code of its own with `params: { refusal }`.
 * Messages never repeat what was sent.
 *
 * @throws {Violations}
 */
export function parseBody<Schema extends z.ZodType>(schema: Schema, body: unknown, style: PathStyle): z.output<Schema> {
  const parsed = schema.safeParse(body, { reportInput: true })
  if (parsed.success) return parsed.data
  const violations = parsed.error.issues.flatMap((issue) => violationsOf(issue, style))
  const onePerField = [...new Map(violations.map((violation) => [`${violation[0]} ${violation[1]}`, violation])).values()]
  throwViolations(onePerField.slice(0, violationsLimit))
  throw new Error('a schema failed without an issue')
}

function violationsOf(issue: z.core.$ZodIssue, style: PathStyle): Violation[] {
  const at = (path: Path) => style(path).slice(0, pathLimit) || '.'
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ['field_unexpected', at([...issue.path, key]), 'not expected here'])
  if (issue.code === 'custom') return [[refusalNamedBy(issue.params), at(issue.path), issue.message]]
  if (issue.code === 'invalid_type' && issue.input === undefined) return [['field_missing', at(issue.path), 'required']]
  return [['field_invalid', at(issue.path), describe(issue)]]
}

function refusalNamedBy(params: Record<string, unknown> | undefined): AnyRefusal {
  return (params?.['refusal'] as AnyRefusal | undefined) ?? 'field_invalid'
}

function describe(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') return `must be of type ${issue.expected}`
  if (issue.code === 'too_small' || issue.code === 'too_big')
    return `must be ${issue.code === 'too_small' ? 'at least' : 'at most'} ${issue.code === 'too_small' ? issue.minimum : issue.maximum}${issue.origin === 'string' ? ' characters long' : issue.origin === 'array' ? ' items' : ''}`
  if (issue.code === 'invalid_value') return 'not one of the supported values'
  return 'not valid'
}
