import { refuse } from '../refusal.ts'

/** Far deeper than any request of ours, far from the end of the stack. */
const maxDepth = 64

/**
 * One text for everything that is the same JSON: members ordered by their names, no white space (RFC 8785). Strings are
 * compared letter by letter, so the amounts "10.0" and "10.00" differ (PIS-13).
 *
 * @throws {Refusal} `field_invalid` for what is nested too deeply to compare.
 */
export function canonicalJson(value: unknown, depth = 0): string {
  if (depth > maxDepth) refuse('field_invalid', `nested more than ${maxDepth} deep`)
  if (typeof value === 'string') return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item, depth + 1)).join(',')}]`
  if (typeof value === 'object' && value !== null) return `{${members(value as Record<string, unknown>, depth)}}`
  // Only JSON.parse of a number such as 1e400 makes these; JSON.stringify would make them null.
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  return JSON.stringify(value) ?? 'null'
}

function members(value: Record<string, unknown>, depth: number): string {
  let text = ''
  for (const name of Object.keys(value).sort()) {
    const member = value[name]
    if (member !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${canonicalJson(member, depth + 1)}`
  }
  return text
}
